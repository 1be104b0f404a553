#!lua
-- Keeps results. KEYS: a shard's results, their names, and when their steps ended. ARGV: how long results are kept in
-- milliseconds, how many are kept; then for each result its key, when its step ended in milliseconds, its name, and what it
-- is. Forgets what is too old, and the oldest of what is too much.
local results, names, ages = KEYS[1], KEYS[2], KEYS[3]
local ttl, most, newest = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
-- Whatever is of another kind is an error before anything is changed.
redis.call('HLEN', results)
redis.call('HLEN', names)
redis.call('ZCARD', ages)
for i = 3, #ARGV, 4 do
  local key, ended = ARGV[i], ARGV[i + 1]
  redis.call('HSET', results, key, ARGV[i + 3])
  redis.call('HSET', names, key, ARGV[i + 2])
  redis.call('ZADD', ages, ended, key)
  newest = math.max(newest, tonumber(ended))
end
local surplus = math.max(redis.call('ZCARD', ages) - most, 0)
-- Of what is too old some go each time, so that no call takes long.
local oldest = redis.call('ZRANGE', ages, 0, surplus + 99, 'WITHSCORES')
for i = 1, #oldest, 2 do
  local key, ended = oldest[i], tonumber(oldest[i + 1])
  if (i - 1) / 2 < surplus or ended + ttl < newest then
    redis.call('HDEL', results, key)
    redis.call('HDEL', names, key)
    redis.call('ZREM', ages, key)
  end
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ttl)
end
return 1
