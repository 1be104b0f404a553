#!lua
-- Claims attempts of a run. KEYS: the run's head; the partition's server and holders; buckets of claims. ARGV: the holder,
-- 1 if the claims are asserted, how long the store settles in milliseconds; then for each attempt which of KEYS its
-- bucket is, and its field. Answers with the holders, and with an empty text where a claim names none; with 0 if there is
-- no such run; with how many milliseconds are left while the store settles.
local head, server, holders = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', head) == 0 then
  return 0
end
local id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known, since = unpack(redis.call('HMGET', server, 'id', 'since'))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if known ~= id then
  -- A server that nobody has claimed from has lost nothing.
  since = known and now or 0
  redis.call('HSET', server, 'id', id, 'since', since)
end
if tonumber(since) > now then
  -- The clock was set back.
  since = now
  redis.call('HSET', server, 'since', since)
end
local left = since + ARGV[3] - now
if ARGV[2] ~= '1' and tonumber(since) > 0 and left > 0 then
  return left
end
local number = redis.call('HGET', holders, 'name ' .. ARGV[1])
if not number and #ARGV > 3 then
  number = redis.call('HINCRBY', holders, 'count', 1)
  redis.call('HSET', holders, 'name ' .. ARGV[1], number, number, ARGV[1])
end
local answers = {}
for i = 4, #ARGV, 2 do
  local bucket, field = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  if redis.call('HSETNX', bucket, field, number) == 1 then
    answers[#answers + 1] = ARGV[1]
  else
    answers[#answers + 1] = redis.call('HGET', holders, redis.call('HGET', bucket, field)) or ''
  end
end
return answers
