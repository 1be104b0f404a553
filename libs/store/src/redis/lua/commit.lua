#!lua
-- Commits to runs of one partition. KEYS: the partition's active and finished runs, its runs of each of the seven states;
-- then for each commit the run's head, steps and details. ARGV: 1 if the call is repeated because nobody knows what came
-- of it; a step's size; then for each commit: the expected version, the new one, the end of the head (see head.rs), and
-- numbers: when the run ended, the orders taken, one more than the highest step, and how many pieces of steps, attempts
-- and outputs follow: a piece is its offset and the records, an attempt is its step, its number and the record, an output
-- is its step and the text.
-- Answers for each: 1 where it is done, 0 where the run has another version or is gone, or a text that says why what the
-- commit would change cannot be understood. All is looked at before the first write.
local active, finished = KEYS[1], KEYS[2]
local repeated, step_size = ARGV[1] == '1', tonumber(ARGV[2])

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

-- Why a head is none; see head.rs.
local function no_head(head)
  local left = #head >= 40 and #head - 40 - struct.unpack('<I4', head, 37)
  local state, final = string.byte(head, 35, 36)
  if not left or left < 0 or left % 5 ~= 0 or state < 1 or state > 7 or final > 1 then
    return 'its head cannot be understood'
  end
end

-- Why the steps or details that a commit changes are none.
local function no_place(c, head)
  if c.pieces > 0 then
    local count = struct.unpack('<I4', head, 23)
    if c.beyond > count then
      return string.format('it has %d steps, and none of index %d', count, c.beyond - 1)
    end
    local size, why = read('STRLEN', c.steps)
    if size ~= count * step_size then
      return why or string.format('its %d steps take %d bytes', count, size)
    end
  end
  if c.attempts + c.outputs > 0 then
    local _, why = read('HLEN', c.details)
    return why
  end
end

local heads, commits = {}, {}
local key, arg = 10, 3
while key <= #KEYS do
  local c = { head = KEYS[key], steps = KEYS[key + 1], details = KEYS[key + 2], arg = arg + 4 }
  c.expected, c.version, c.tail = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  c.ended, c.taken, c.beyond, c.pieces, c.attempts, c.outputs = struct.unpack('<dI4I4I4I4I4', ARGV[arg + 3])
  commits[#commits + 1] = c
  key, arg = key + 3, c.arg + 2 * c.pieces + 3 * c.attempts + 2 * c.outputs
  local head = heads[c.head]
  if head == nil then
    head, c.no_head = read('GET', c.head)
    heads[c.head] = head or false
  end
  if head then
    c.no_head = no_head(head)
    c.no_place = not c.no_head and no_place(c, head)
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
end

local function orders_left(orders, taken)
  local at = 1
  while at <= #orders and struct.unpack('<I4', orders, at) <= taken do
    at = at + 5
  end
  return string.sub(orders, at)
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

local answers = {}
for i, c in ipairs(commits) do
  local old = heads[c.head]
  local version = old and string.sub(old, 1, 16)
  if c.no_head then
    answers[i] = c.no_head
  elseif version == c.expected and c.no_place then
    answers[i] = c.no_place
  elseif version == c.expected then
    write_details(c)
    local old_orders = string.sub(old, 41 + struct.unpack('<I4', old, 37))
    local orders = orders_left(old_orders, c.taken)
    local new = c.version .. string.sub(old, 17, 34) .. c.tail .. orders
    redis.call('SET', c.head, new)
    heads[c.head] = new
    settle(c, old, old_orders, orders)
    answers[i] = 1
  else
    answers[i] = (repeated and version == c.version) and 1 or 0
  end
end
return answers
