#!lua flags=allow-oom
-- Removes what is left of a run that cannot be read. KEYS: the run's tombstone, head; the partition's active runs, finished
-- runs; the index of each place; then all else that may be kept of the run. ARGV: 1 if the head was read as a text, and that
-- text; the run's id; how long the tombstone stays in milliseconds; how many places there are; the member of each.
-- Answers 1, 0 if there was nothing, or -1 if the head is not any more as it was read.
local head = redis.pcall('GET', KEYS[2])
local is_text = type(head) == 'string'
if is_text ~= (ARGV[1] == '1') or is_text and head ~= ARGV[2] then
  return -1
end
local run, places = ARGV[3], tonumber(ARGV[5])
local found = redis.call('SREM', KEYS[3], run) + redis.call('ZREM', KEYS[4], run) + redis.call('DEL', KEYS[2])
for i = 1, places do
  found = found + redis.call('ZREM', KEYS[4 + i], ARGV[5 + i])
end
for i = 5 + places, #KEYS do
  found = found + redis.call('UNLINK', KEYS[i])
end
if found == 0 then
  return 0
end
redis.call('SET', KEYS[1], '', 'PX', ARGV[4])
return 1
