#!lua
-- Puts an order into a run's inbox. KEYS: the run's head; the partition's active and finished runs. ARGV: the order, the run's
-- id, the most bytes of an inbox. Answers 1, 0 if there is no such run, or -1 if its inbox has no room; see head.rs.
local head, order = redis.call('GET', KEYS[1]), ARGV[1]
if not head then
  return 0
end
local waiting = #head - 40 - struct.unpack('<I4', head, 37)
if waiting + 8 + #order > tonumber(ARGV[3]) then
  return -1
end
local sequence = struct.pack('<I4', struct.unpack('<I4', head, 31) + 1)
local placed = sequence .. struct.pack('<I4', #order) .. order
redis.call('SET', KEYS[1], string.sub(head, 1, 30) .. sequence .. string.sub(head, 35) .. placed)
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1
