#!lua flags=no-writes
-- Reads claims. KEYS: the partition's holders; buckets of claims. ARGV: for each attempt which of KEYS its bucket is, and its
-- field. Answers with the holders, with nothing for an attempt that nobody has claimed, and with an empty text where a claim
-- names no holder.
local answers = {}
for i = 1, #ARGV, 2 do
  local number = redis.call('HGET', KEYS[tonumber(ARGV[i])], ARGV[i + 1])
  answers[#answers + 1] = number and (redis.call('HGET', KEYS[1], number) or '')
end
return answers
