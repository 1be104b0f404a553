#!lua flags=allow-oom
-- Removes a run. KEYS: the run's tombstone, head; the partition's active runs, finished runs, runs of the namespace, runs of
-- each of the seven states; then all else that is kept of the run. ARGV: the expected version, the run's id, the
-- pipeline's name, how long the tombstone stays in milliseconds. Answers 1, or 0 if the run has another version.
local head = redis.call('GET', KEYS[2])
if not head or string.sub(head, 1, 16) ~= ARGV[1] then
  return 0
end
local member = string.sub(head, 17, 22) .. ARGV[2]
redis.call('SET', KEYS[1], '', 'PX', ARGV[4])
redis.call('SREM', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('ZREM', KEYS[5], member .. ARGV[3])
redis.call('ZREM', KEYS[5 + string.byte(head, 35)], member)
redis.call('DEL', KEYS[2])
for i = 13, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
