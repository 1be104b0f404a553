#!lua
-- Takes and gives back places of the limits of a namespace. KEYS: who waits, who holds, starts, entries, limits that are due;
-- configurations, state. ARGV: how long the store settles in milliseconds, the most grants; the limit that is configured, or
-- an empty text, and its configuration, which is empty where it is forgotten; how many holds and releases follow, and then
-- asks. A hold and an ask are a holder and its limits, a release is a holder. Answers with when to call again in
-- milliseconds, or an empty text; then the holders of asks who hold theirs already, and those who were granted something.
--
-- All keys but the last two are sorted sets. Those without scores are ordered as bytes, so that what is first is found, taken
-- out and counted in little time:
--   who waits, who holds: a limit, a sequence number, a holder
--   starts: a limit, a time, a sequence number
--   entries: a holder, `h` if it holds and `w` if it waits, its sequence number, its limits
--   due: limits, by when their first waiter is to be looked at: at once, or when a rate lets it start who waits for nothing else
-- A limit is its name behind the name's size in 2 bytes; times and sequence numbers have 8 bytes; a holder has 34.
-- A configuration is three numbers, of which 0 stands for none: size, starts, period in milliseconds. The state is the last
-- sequence number, and which server the latest call came to; see claim.lua.
local queue, held, starts, entries, due, config, state = unpack(KEYS)
local settle_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
-- Whatever is of another kind is an error before anything is changed.
for i = 1, 5 do
  redis.call('ZCARD', KEYS[i])
end
redis.call('HLEN', config)

-- No more words than these: those of users could be taken for something else that servers say.
local function damaged(what)
  error({ err = 'DAMAGED ' .. what })
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Until when nothing is granted, because what was granted last may be lost.
local function settled_at()
  local id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local known, since = unpack(redis.call('HMGET', state, 'id', 'since'))
  since = tonumber(since or '')
  if known == id and not since then
    damaged('since when the server is known is no number')
  elseif known ~= id or since > now then
    -- Another server, or its clock was set back. One that nobody has asked before has lost nothing.
    since = known and now or 0
    redis.call('HSET', state, 'id', id, 'since', since)
  end
  return since > 0 and since + settle_ms or 0
end

local function number(value)
  return struct.pack('>I8', value)
end

-- Up to what begins with this text ends.
local function behind(text)
  return '(' .. text .. '\255'
end

local function limits_of(text)
  local limits, at = {}, 1
  while at + 1 <= #text do
    local stop = at + 1 + struct.unpack('>I2', text, at)
    limits[#limits + 1] = string.sub(text, at, stop)
    at = stop + 1
  end
  if at ~= #text + 1 or #limits == 0 then
    damaged('an entry has no list of limits')
  end
  return limits
end

local function find(holder)
  local found = redis.call('ZRANGE', entries, '[' .. holder, behind(holder), 'BYLEX', 'LIMIT', 0, 2)
  local member = found[1]
  if not member then
    return nil
  end
  local kind = string.sub(member, 35, 35)
  if #found > 1 or #member < 44 or kind ~= 'h' and kind ~= 'w' then
    damaged('an entry cannot be understood')
  end
  local list = string.sub(member, 44)
  return {
    holder = holder, member = member, waits = kind == 'w', sequence = string.sub(member, 36, 43), list = list,
    limits = limits_of(list),
  }
end

-- The limits whose first waiters are to be looked at.
local touched, is_touched = {}, {}
local function touch(limit)
  if not is_touched[limit] then
    is_touched[limit] = true
    touched[#touched + 1] = limit
  end
end

local function enter(holder, waits, list)
  local limits, sequence = limits_of(list), number(redis.call('HINCRBY', state, 'sequence', 1))
  for _, limit in ipairs(limits) do
    redis.call('ZADD', waits and queue or held, 0, limit .. sequence .. holder)
    touch(limit)
  end
  redis.call('ZADD', entries, 0, holder .. (waits and 'w' or 'h') .. sequence .. list)
  return sequence
end

local function leave(entry)
  for _, limit in ipairs(entry.limits) do
    redis.call('ZREM', entry.waits and queue or held, limit .. entry.sequence .. entry.holder)
    touch(limit)
  end
  redis.call('ZREM', entries, entry.member)
end

local configs = {}
local function config_of(limit)
  if not configs[limit] then
    local text = redis.call('HGET', config, string.sub(limit, 3)) or '1 0 0'
    local size, most_starts, period = string.match(text, '^(%d+) (%d+) (%d+)$')
    if not size then
      damaged('a configuration is no three numbers')
    end
    configs[limit] = { size = tonumber(size), starts = tonumber(most_starts), period = tonumber(period) }
  end
  return configs[limit]
end

-- The oldest starts of a limit that do not count any more; all of them where there is no period.
local function ended_starts(limit, period, count)
  local first = period and '(' .. limit .. number(math.max(now - period + 1, 0)) or behind(limit)
  return redis.call('ZRANGE', starts, '[' .. limit, first, 'BYLEX', 'LIMIT', 0, count)
end

-- What counted under the old rate counts under the new one.
local function configure(name, text)
  local limit = struct.pack('>I2', #name) .. name
  local old = config_of(limit)
  if text == '' then
    redis.call('HDEL', config, name)
  else
    redis.call('HSET', config, name, text)
  end
  configs[limit] = nil
  local period = config_of(limit).starts > 0 and old.period
  repeat
    local ended = ended_starts(limit, period, 1000)
    if #ended > 0 then
      redis.call('ZREM', starts, unpack(ended))
    end
  until #ended < 1000
  touch(limit)
end

-- When the rate of a limit allows the next start.
local function allows_at(limit)
  local rate = config_of(limit)
  if rate.starts == 0 then
    return 0
  end
  local first = '[' .. limit .. number(math.max(now - rate.period + 1, 0))
  local surplus = redis.call('ZLEXCOUNT', starts, first, behind(limit)) - rate.starts
  if surplus < 0 then
    return 0
  end
  local blocking = redis.call('ZRANGE', starts, first, behind(limit), 'BYLEX', 'LIMIT', surplus, 1)[1]
  if #blocking ~= #limit + 16 then
    damaged('a start has no time')
  end
  return struct.unpack('>I8', blocking, #limit + 1) + rate.period
end

local function count_start(limit, sequence)
  local rate = config_of(limit)
  if rate.starts > 0 then
    redis.call('ZADD', starts, 0, limit .. number(now) .. sequence)
    -- More than come, so that there are none left in the end.
    local ended = ended_starts(limit, rate.period, 4)
    if #ended > 0 then
      redis.call('ZREM', starts, unpack(ended))
    end
  end
end

local function first_of(limit)
  return redis.call('ZRANGE', queue, '[' .. limit, behind(limit), 'BYLEX', 'LIMIT', 0, 1)[1]
end

-- When a waiter may start, as things are; nothing where no time helps.
local function may_start_at(waiter)
  local at = 0
  for _, limit in ipairs(waiter.limits) do
    if first_of(limit) ~= limit .. waiter.sequence .. waiter.holder then
      return nil
    end
    local size = config_of(limit).size
    if size > 0 and redis.call('ZLEXCOUNT', held, '[' .. limit, behind(limit)) >= size then
      return nil
    end
    at = math.max(at, allows_at(limit))
  end
  return at
end

local granted, arrivals = {}, {}

-- Looks at the first waiter of a limit. Who only waits for a rate is due under the first of its limits, and nobody else is.
local function look_at(limit)
  redis.call('ZREM', due, limit)
  local first = first_of(limit)
  if not first then
    return
  end
  local waiter = #first == #limit + 42 and find(string.sub(first, -34))
  if not waiter or not waiter.waits or limit .. waiter.sequence .. waiter.holder ~= first then
    damaged('a limit is waited for by one who does not wait')
  end
  local at = may_start_at(waiter)
  if at and at > now then
    redis.call('ZADD', due, at, waiter.limits[1])
    return
  end
  if first_of(waiter.limits[1]) == waiter.limits[1] .. waiter.sequence .. waiter.holder then
    -- Otherwise it is another one who is due there.
    redis.call('ZREM', due, waiter.limits[1])
  end
  if at then
    leave(waiter)
    local sequence = enter(waiter.holder, false, waiter.list)
    for _, taken in ipairs(waiter.limits) do
      count_start(taken, sequence)
    end
    granted[#granted + 1] = waiter.holder
    arrivals[waiter.holder] = waiter.sequence
  end
end

local answer = { '' }
local settled = settled_at()
if settled > now then
  most = 0
end
if ARGV[3] ~= '' then
  configure(ARGV[3], ARGV[4])
end
local at = 7
for _ = 1, tonumber(ARGV[5]) do
  local entry = find(ARGV[at])
  if not entry or entry.waits then
    if entry then
      leave(entry)
    end
    enter(ARGV[at], false, ARGV[at + 1])
  end
  at = at + 2
end
for _ = 1, tonumber(ARGV[6]) do
  local entry = find(ARGV[at])
  if entry then
    leave(entry)
  end
  at = at + 1
end
for i = at, #ARGV, 2 do
  local entry = find(ARGV[i])
  if not entry then
    enter(ARGV[i], true, ARGV[i + 1])
  elseif not entry.waits then
    answer[#answer + 1] = ARGV[i]
  end
end

for _, limit in ipairs(redis.call('ZRANGE', due, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
  touch(limit)
end
local next = 1
while next <= #touched and #granted < most do
  local limit = touched[next]
  next, is_touched[limit] = next + 1, nil
  look_at(limit)
end
for i = next, #touched do
  redis.call('ZADD', due, 0, touched[i])
end
table.sort(granted, function(one, other)
  return arrivals[one] < arrivals[other]
end)
for _, holder in ipairs(granted) do
  answer[#answer + 1] = holder
end
local first_due = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
if settled > now then
  answer[1] = string.format('%.0f', settled)
elseif first_due then
  answer[1] = string.format('%.0f', math.max(first_due, now))
end
return answer
