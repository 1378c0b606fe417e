-- Writes a slip, if it is what the writer has seen.
-- KEYS[1]  the board; it ends a week after the last change
-- ARGV     the slip's name, the text it must have ('' for none), the new text
-- Returns  1, nil and epoch ms; or 0, the text that is there or nil, and epoch ms
-- Cost     O(1)
local clock = redis.call('TIME')
local now = math.floor(clock[1] * 1000 + clock[2] / 1000)
local there = redis.call('HGET', KEYS[1], ARGV[1])
if (there or '') ~= ARGV[2] then
  return { 0, there, now }
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], 604800000)
return { 1, false, now }
