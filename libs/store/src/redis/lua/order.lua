#!lua
-- Puts an order into a run's inbox. KEYS: the run's head; the partition's active and finished runs. ARGV: the order's
-- number, the run's id. Answers 1, or 0 if there is no such run.
local head = redis.call('GET', KEYS[1])
if not head then
  return 0
end
local sequence = struct.pack('<I4', struct.unpack('<I4', head, 31) + 1)
redis.call('SET', KEYS[1], string.sub(head, 1, 30) .. sequence .. string.sub(head, 35) .. sequence .. string.char(ARGV[1]))
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1
