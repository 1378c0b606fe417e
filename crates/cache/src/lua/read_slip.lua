-- Reads a slip and the clock.
-- KEYS[1]  the board
-- ARGV     the slip's name
-- Returns  its text or nil; epoch ms
-- Cost     O(1)
local clock = redis.call('TIME')
return { redis.call('HGET', KEYS[1], ARGV[1]), math.floor(clock[1] * 1000 + clock[2] / 1000) }
