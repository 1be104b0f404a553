#!lua
-- Tries every command that is needed beside those that call scripts. KEYS: a text, a hash, a set, a sorted set, none of
-- which is there before or after. Answers with the first refusal, or with an empty text.
local text, hash, set, sorted = unpack(KEYS)
local commands = {
  { 'TIME' }, { 'INFO', 'server' }, { 'SETNX', text, '' }, { 'SET', text, '' }, { 'GET', text }, { 'SETRANGE', text, 1, '\0' },
  { 'GETRANGE', text, 0, 1 }, { 'STRLEN', text }, { 'EXISTS', text }, { 'UNLINK', text }, { 'DEL', text },
  { 'HSET', hash, 'a', 1 }, { 'HSETNX', hash, 'a', 1 }, { 'HINCRBY', hash, 'a', 1 }, { 'HGET', hash, 'a' },
  { 'HMGET', hash, 'a' }, { 'HGETALL', hash }, { 'HLEN', hash }, { 'HDEL', hash, 'a' },
  { 'SADD', set, 'a' }, { 'SMEMBERS', set }, { 'SREM', set, 'a' },
  { 'ZADD', sorted, 0, 'a' }, { 'PEXPIRE', sorted, 60000 }, { 'ZCARD', sorted }, { 'ZRANGE', sorted, 0, 1 },
  { 'ZLEXCOUNT', sorted, '-', '+' }, { 'ZREM', sorted, 'a' },
}
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    return command[1] .. ': ' .. answer.err
  end
end
return ''
