#!lua
-- Commits to runs of one partition. KEYS: the partition's active and finished runs, its runs of each of the seven states;
-- then for each commit the run's head, steps and details, and its expansions where some are added. ARGV: 1 if the call is
-- repeated because nobody knows what came of it; a step's size, the most steps of a run, an expansion's size; then for each
-- commit: the expected version, the new one, the end of the head (see head.rs), and numbers: when the run ended, the orders
-- taken, one more than the highest step, the number of steps from now on, and how many expansions, pieces of steps,
-- attempts, outputs and amendments follow: the expansions are one text, a piece is its offset and the records, an attempt is
-- its step, its number and the record, an output is its step and the text, an amendment, of which there is at most one, is
-- its field and the text.
-- Answers for each: 1 where it is done, 0 where the run has another version or is gone, or a text that says why what the
-- commit would change cannot be understood. All is looked at before the first write.
local active, finished = KEYS[1], KEYS[2]
local repeated, step_size, steps_max, expansion_size = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- What a command that reads answers; or nothing, and why, where the key holds something of another kind.
local function read(command, key)
  local answer = redis.pcall(command, key)
  if type(answer) ~= 'table' or not answer.err then
    return answer
  end
  if string.find(answer.err, 'WRONGTYPE', 1, true) then
    return nil, key .. ' is of another kind than it should be'
  end
  error(answer)
end

-- The orders in an inbox that come after the one that was taken last; nothing where they are cut off.
local function orders_left(orders, taken)
  local at, first = 1, nil
  while at + 7 <= #orders do
    local sequence, size = struct.unpack('<I4I4', orders, at)
    if not first and sequence > taken then
      first = at
    end
    at = at + 8 + size
  end
  if at == #orders + 1 then
    return string.sub(orders, first or at)
  end
end

-- The orders in a head.
local function orders_of(head)
  return string.sub(head, 41 + struct.unpack('<I4', head, 37))
end

-- Why a head is none; see head.rs.
local function no_head(head)
  local is_whole = #head >= 40 and #head - 40 >= struct.unpack('<I4', head, 37) and orders_left(orders_of(head), 0)
  local state, final = string.byte(head, 35, 36)
  if not is_whole or state < 1 or state > 7 or final > 1 then
    return 'its head cannot be understood'
  end
end

-- What there is of a run, and what the commits that were looked at will make of it.
local function run_of(key)
  local head, why = read('GET', key)
  why = why or head and no_head(head)
  if why or not head then
    return { no_head = why }
  end
  local count = struct.unpack('<I4', head, 23)
  return { head = head, version = string.sub(head, 1, 16), count = count, stored = count }
end

-- Why the steps, expansions or details that a commit changes are none.
local function no_place(c, run)
  if c.beyond > c.count then
    return string.format('it has %d steps, and none of index %d', c.count, c.beyond - 1)
  end
  if c.count > run.count and c.count > steps_max then
    return string.format('it would have %d steps, and may have %d', c.count, steps_max)
  end
  if c.pieces > 0 or c.count > run.count then
    local size, why = read('STRLEN', c.steps)
    if size ~= run.stored * step_size then
      return why or string.format('its %d steps take %d bytes', run.stored, size)
    end
  end
  if c.expansions then
    local size, why = read('STRLEN', c.expansions)
    if why or size % expansion_size ~= 0 then
      return why or string.format('its expansions take %d bytes', size)
    end
  end
  if c.attempts + c.outputs + c.amendments > 0 then
    local _, why = read('HLEN', c.details)
    return why
  end
end

-- What to answer to a commit whose run is as those before it leave it.
local function judge(c, run)
  if run.no_head then
    return run.no_head
  elseif run.version ~= c.expected then
    return (repeated and run.version == c.version) and 1 or 0
  end
  c.count = math.max(c.count, run.count)
  local why = no_place(c, run)
  if why then
    return why
  end
  c.is_due, run.version, run.count = true, c.version, c.count
  return 1
end

local runs, commits, answers = {}, {}, {}
local key, arg = 10, 5
while key <= #KEYS do
  local ended, taken, beyond, count, added, pieces, attempts, outputs, amendments =
    struct.unpack('<dI4I4I4I4I4I4I4I4', ARGV[arg + 3])
  local c = {
    head = KEYS[key], steps = KEYS[key + 1], details = KEYS[key + 2], expansions = added > 0 and KEYS[key + 3],
    expected = ARGV[arg], version = ARGV[arg + 1], tail = ARGV[arg + 2], arg = arg + 4,
    ended = ended, taken = taken, beyond = beyond, count = count, pieces = pieces, attempts = attempts, outputs = outputs,
    amendments = amendments,
  }
  key, arg = key + 3, c.arg + 2 * pieces + 3 * attempts + 2 * (outputs + amendments)
  if added > 0 then
    key, arg = key + 1, arg + 1
  end
  local run = runs[c.head] or run_of(c.head)
  runs[c.head] = run
  commits[#commits + 1] = c
  answers[#commits] = judge(c, run)
end

-- Makes room for new steps, or says why there is none. A text that is made longer takes up to twice the room that it needs, or
-- 1 MiB more where it is longer than that; one that is made at once takes what it needs. So what is short, or shorter than
-- what is added, goes into another one.
local function grow(c, count)
  local old, new = count * step_size, c.count * step_size
  local records
  if old <= math.max(65536, math.min(new - old, 1048576)) then
    records = redis.call('GET', c.steps)
    redis.call('DEL', c.steps)
  end
  local grown = redis.pcall('SETRANGE', c.steps, new - 1, '\0')
  if records then
    redis.call('SETRANGE', c.steps, 0, records)
  end
  if type(grown) == 'table' and grown.err then
    return string.format('it cannot have %d steps: %s', c.count, grown.err)
  end
end

local function write_attempt(details, step, number, record)
  local field, kept, at = 'a' .. step, {}, 1
  local old = redis.call('HGET', details, field) or ''
  -- What is cut off at the end is dropped: nobody could read it.
  while at + 7 <= #old do
    local known, size = struct.unpack('<I4I4', old, at)
    if known ~= number and at + 7 + size <= #old then
      kept[#kept + 1] = string.sub(old, at, at + 7 + size)
    end
    at = at + 8 + size
  end
  kept[#kept + 1] = struct.pack('<I4I4', number, #record) .. record
  redis.call('HSET', details, field, table.concat(kept))
end

local function write_details(c)
  local at = c.arg
  if c.expansions then
    redis.call('SETRANGE', c.expansions, redis.call('STRLEN', c.expansions), ARGV[at])
    at = at + 1
  end
  for _ = 1, c.pieces do
    redis.call('SETRANGE', c.steps, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  for _ = 1, c.attempts do
    write_attempt(c.details, ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2])
    at = at + 3
  end
  for _ = 1, c.outputs do
    redis.call('HSET', c.details, 'o' .. ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  if c.amendments > 0 then
    redis.call('HSET', c.details, ARGV[at], ARGV[at + 1])
  end
end

local function settle(c, old, old_orders, orders)
  local run, state, new_state = string.sub(c.head, -26), string.byte(old, 35), string.byte(c.tail, 1)
  if state ~= new_state then
    local member = string.sub(old, 17, 22) .. run
    redis.call('ZREM', KEYS[2 + state], member)
    redis.call('ZADD', KEYS[2 + new_state], 0, member)
  end
  local was_active = string.byte(old, 36) == 0 or #old_orders > 0
  local is_active = string.byte(c.tail, 2) == 0 or #orders > 0
  if not is_active then
    redis.call('ZADD', finished, c.ended, run)
    if was_active then
      redis.call('SREM', active, run)
    end
  elseif not was_active then
    redis.call('ZREM', finished, run)
    redis.call('SADD', active, run)
  end
end

-- Does what was found possible, or says why it is not. What builds upon something that was not done is in conflict.
local function commit(c, run)
  if run.is_behind then
    return 0
  elseif c.count > run.stored then
    local why = grow(c, run.stored)
    if why then
      run.is_behind = true
      return why
    end
  end
  write_details(c)
  local old, kept = run.head, string.sub(run.head, 17, 34)
  local old_orders = orders_of(old)
  local orders = orders_left(old_orders, c.taken)
  if c.count > run.stored then
    kept = string.sub(kept, 1, 6) .. struct.pack('<I4', c.count) .. string.sub(kept, 11)
  end
  run.head, run.stored = c.version .. kept .. c.tail .. orders, c.count
  redis.call('SET', c.head, run.head)
  settle(c, old, old_orders, orders)
  return 1
end

for i, c in ipairs(commits) do
  if c.is_due then
    answers[i] = commit(c, runs[c.head])
  end
end
return answers
