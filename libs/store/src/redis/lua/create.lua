#!lua
-- Creates a run. KEYS: the run's head, steps and submission, its tombstone; the partition's active runs, finished runs,
-- runs of the run's state, runs of its namespace, server. ARGV: the submission with the pipeline behind it, the
-- submission's size, the number of steps, a step's size, the run's id, the pipeline's name, the end of the head (see
-- head.rs), 1 if the run has ended, when it ended.
-- Answers 1, 0 where the run was removed, -1 where one was there whose head is gone, or the digest of the run that was there.
local head, steps, submission, tombstone, active, finished, of_state, of_namespace, server = unpack(KEYS)
if redis.call('EXISTS', head) == 1 then
  return redis.call('GETRANGE', submission, 0, 31)
end
if redis.call('EXISTS', tombstone) == 1 then
  return 0
end
if redis.call('EXISTS', submission) == 1 then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The later, the smaller, as text: 48 bits.
local place = struct.pack('>I6', 281474976710655 - now)
local count = tonumber(ARGV[3])
if redis.call('EXISTS', server) == 0 then
  -- So that the loss of the first claims is noticed too.
  redis.call('HSET', server, 'id', string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), 'since', 0)
end
redis.call('SET', submission, ARGV[1])
if count > 0 then
  -- The whole size at once: grown bit by bit it would take up twice as much.
  redis.call('SETRANGE', steps, count * tonumber(ARGV[4]) - 1, '\0')
end
redis.call('SET', head, struct.pack('<I8I8', 1, 0) .. place .. struct.pack('<I4I4I4', count, tonumber(ARGV[2]), 0) .. ARGV[7])
redis.call('ZADD', of_state, 0, place .. ARGV[5])
redis.call('ZADD', of_namespace, 0, place .. ARGV[5] .. ARGV[6])
if ARGV[8] == '1' then
  redis.call('ZADD', finished, ARGV[9], ARGV[5])
else
  redis.call('SADD', active, ARGV[5])
end
return 1
