#!lua
-- Takes part in a group. KEYS: the group. ARGV: the member, 1 if it is leaving, how long it stays in milliseconds, how many
-- leases it wants; those, and then those that it releases.
-- A group is a hash: `m` and a member's name lead to the time until which it is one and for how long that is, `l` and a lease's
-- number to the same of the lease, and the holder, with spaces between. Answers with names of members, each behind `m`; and with
-- the fields of leases, each followed by its holder.
local group, member, leaving, wanted = KEYS[1], ARGV[1], ARGV[2] == '1', tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- With the time that its member asked for: others may ask for another one.
local function term(ttl)
  return string.format('%.0f %.0f', now + ttl, ttl)
end
local own = term(tonumber(ARGV[3]))
-- Longer than any lease.
local day = 24 * 60 * 60 * 1000
-- What cannot be read is dropped: who has something here says so again soon.
local function read(field, value)
  local till, ttl, holder = string.match(value, '^(%d+) (%d+) ?([%w%p]*)$')
  local is_member = string.find(field, '^m[%w%p]+$') and holder == ''
  local is_lease = string.find(field, '^l%d+$') and #field <= 10 and holder ~= ''
  if till and tonumber(ttl) <= day and (is_member or is_lease) then
    return tonumber(till), tonumber(ttl), holder
  end
  return 0, 0, ''
end
local held, members = {}, {}
local stored = redis.pcall('HGETALL', group)
if stored.err then
  redis.call('DEL', group)
  stored = {}
end
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  local till, ttl, holder = read(field, value)
  if till > now + ttl then
    -- The clock was set back: nothing is kept longer than if it had just been renewed.
    redis.call('HSET', group, field, holder == '' and term(ttl) or term(ttl) .. ' ' .. holder)
  end
  if till <= now then
    redis.call('HDEL', group, field)
  elseif string.sub(field, 1, 1) == 'm' then
    members[field] = true
  else
    held[field] = holder
    if holder == member and not leaving then
      redis.call('HSET', group, field, own .. ' ' .. member)
    end
  end
end
if leaving then
  members['m' .. member] = nil
  redis.call('HDEL', group, 'm' .. member)
else
  members['m' .. member] = true
  redis.call('HSET', group, 'm' .. member, own)
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
    redis.call('HSET', group, field, own .. ' ' .. member)
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
