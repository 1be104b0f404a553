#!lua
-- Takes part in a group. KEYS: the group. ARGV: the member, 1 if it is leaving, how long it stays in milliseconds, how many
-- leases it wants; those, and then those that it releases.
-- A group is a hash: `m` and a member's name lead to the time until which it is one, `l` and a lease's number to the
-- time until which it is held, a space, and the holder. Answers with names of members, each behind `m`; and with the
-- fields of leases, each followed by its holder.
local group, member, leaving, wanted = KEYS[1], ARGV[1], ARGV[2] == '1', tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ms = string.format('%.0f', now + ARGV[3])
local held, members = {}, {}
local stored = redis.call('HGETALL', group)
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  local till, holder = string.match(value, '^(%d+) ?(.*)$')
  -- What cannot be read is dropped: who has something here says so again soon.
  till = tonumber(till) or 0
  if till > now + ARGV[3] then
    -- The clock was set back: nothing is kept longer than if it had just been renewed.
    redis.call('HSET', group, field, holder == '' and until_ms or until_ms .. ' ' .. holder)
  end
  if till <= now then
    redis.call('HDEL', group, field)
  elseif string.sub(field, 1, 1) == 'm' then
    members[field] = true
  else
    held[field] = holder
    if holder == member and not leaving then
      redis.call('HSET', group, field, until_ms .. ' ' .. member)
    end
  end
end
if leaving then
  members['m' .. member] = nil
  redis.call('HDEL', group, 'm' .. member)
else
  members['m' .. member] = true
  redis.call('HSET', group, 'm' .. member, until_ms)
end
for i = 5 + wanted, #ARGV do
  local field = 'l' .. ARGV[i]
  if held[field] == member then
    held[field] = nil
    redis.call('HDEL', group, field)
  end
end
for i = 5, 4 + wanted do
  local field = 'l' .. ARGV[i]
  if not leaving and not held[field] then
    held[field] = member
    redis.call('HSET', group, field, until_ms .. ' ' .. member)
  end
end
local answer = {}
for field in pairs(members) do
  answer[#answer + 1] = field
end
for field, holder in pairs(held) do
  answer[#answer + 1] = field
  answer[#answer + 1] = holder
end
return answer
