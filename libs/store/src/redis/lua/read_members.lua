#!lua flags=no-writes
-- Reads who is in a group. KEYS: the group, as `share` writes it. Answers with the names of its members.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
local stored = redis.pcall('HGETALL', KEYS[1])
for i = 1, stored.err and 0 or #stored, 2 do
  local name = string.match(stored[i], '^m([%w%p]+)$')
  local till = string.match(stored[i + 1], '^(%d+) %d+ ?$')
  if name and till and tonumber(till) > now then
    answer[#answer + 1] = name
  end
end
return answer
