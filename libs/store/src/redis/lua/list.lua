#!lua flags=no-writes
-- Reads a page of each index. KEYS: the indices. ARGV: where the pages begin and end, as ZRANGE takes it, and how many
-- places each has at most. Answers with the places of each.
local pages = {}
for i, index in ipairs(KEYS) do
  pages[i] = redis.call('ZRANGE', index, ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
end
return pages
