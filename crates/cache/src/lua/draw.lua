-- Gives the next turns of a budget away: one request each, evenly spaced, and never two at a time.
-- KEYS[1]  the time from which no turn is given away yet, in us; gone once it is past
-- ARGV     us from one turn to the next, turns that are wanted, how far ahead one may lie in us
-- Returns  turns that are given; us until the first of them, or until one may be had if there are none
-- Cost     O(1)
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, want, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local free_at = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now)
local ahead = free_at - now
if ahead > horizon then
  return { 0, ahead - horizon }
end
local given = math.min(math.floor((horizon - ahead) / each) + 1, want)
free_at = free_at + each * given
redis.call('SET', KEYS[1], string.format('%.0f', free_at), 'PX', math.ceil((free_at - now) / 1000))
return { given, ahead }
