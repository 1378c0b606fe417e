-- Generic cell rate algorithm: a bucket is one number, the time at which it is full again.
-- KEYS[1]  that time, in us; gone once it is past
-- ARGV     us per call, calls that a full bucket holds, 1 to spend one call or 0 to look
-- Returns  1 or 0: a call is allowed; calls left; us until the next is allowed; us until the bucket is full
-- Cost     O(1)
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, holds = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now)
local limit = now + each * holds
if full_at + each > limit then
  return { 0, 0, full_at + each - limit, full_at - now }
end
if ARGV[3] == '1' then
  full_at = full_at + each
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
end
return { 1, math.floor((limit - full_at) / each), 0, full_at - now }
