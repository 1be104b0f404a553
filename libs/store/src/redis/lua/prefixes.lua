#!lua flags=no-writes
-- Reads how the members of a sorted set without scores begin. KEYS: the set. ARGV: how long what is asked for is, in bytes, or 0 where
-- its size is in its first 2 bytes; behind what to begin, or an empty text; how many to read at most. Answers with each
-- beginning, in order, followed by how many members have it; or with one text, where a member is too short.
local set, size, last, most = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local answer = {}
while #answer < 2 * most do
  local from = last == '' and '-' or '(' .. last .. '\255'
  local member = redis.call('ZRANGE', set, from, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not member then
    break
  end
  local length = size
  if size == 0 and #member >= 2 then
    length = 2 + struct.unpack('>I2', member, 1)
  end
  if length == 0 or #member < length then
    return { member }
  end
  last = string.sub(member, 1, length)
  answer[#answer + 1] = last
  answer[#answer + 1] = redis.call('ZLEXCOUNT', set, '[' .. last, '(' .. last .. '\255')
end
return answer
