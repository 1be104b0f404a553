#!lua
-- Forgets results. KEYS: a shard's results, their names, and when their steps ended. ARGV: their keys; none for all, whatever is
-- kept there. Answers with how many there were.
local results, names, ages = KEYS[1], KEYS[2], KEYS[3]
if #ARGV == 0 then
  local count = redis.pcall('HLEN', results)
  redis.call('DEL', results, names, ages)
  return type(count) == 'number' and count or 0
end
redis.call('HLEN', names)
redis.call('ZCARD', ages)
local count = redis.call('HDEL', results, unpack(ARGV))
redis.call('HDEL', names, unpack(ARGV))
redis.call('ZREM', ages, unpack(ARGV))
return count
