-- Takes several requests out of a budget: the generic cell rate algorithm of spend.lua, by the handful.
-- KEYS[1]  the time at which the budget is whole again, in us; gone once it is past
-- ARGV     us per request, requests that a whole budget holds, requests that are wanted
-- Returns  requests that are granted; us until the next one, if none is
-- Cost     O(1)
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, holds, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local whole_at = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now)
local room = math.floor((now + each * holds - whole_at) / each)
if room < 1 then
  return { 0, whole_at + each - (now + each * holds) }
end
local granted = math.min(room, want)
whole_at = whole_at + each * granted
redis.call('SET', KEYS[1], string.format('%.0f', whole_at), 'PX', math.ceil((whole_at - now) / 1000))
return { granted, 0 }
