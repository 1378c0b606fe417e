-- Changes what a tenant may take of a queue, or the queue as a whole. O(log tenants).
-- ARGV: 4 tenant, or '' for the queue; 5.. field, value: paused (0, 1), weight (1 and up),
-- at_once (0: any number), interval (us per job; 0: any rate), burst (1 and up)
-- Answers the limits as they are from now on, packed as LIMIT.
local tenant = ARGV[4]
local l = limit_of(call('HGET', LIMITS, tenant))
for at = 5, #ARGV, 2 do l[ARGV[at]] = tonumber(ARGV[at + 1]) end

if l.paused == 0 and l.weight == 1 and l.at_once == 0 and l.interval == 0 then
  call('HDEL', LIMITS, tenant)
else
  call('HSET', LIMITS, tenant, pack(LIMIT, l.paused, l.weight, l.at_once, l.interval, l.burst))
  bounded = true
end
if l.interval == 0 then call('HDEL', RATES, tenant) end

if tenant == '' then
  if l.paused == 0 and call('EXISTS', RING, DELAYED, PARKED) > 0 then arm() end
elseif call('EXISTS', P .. 'w:' .. tenant) == 1 then
  call('ZREM', PARKED, tenant)
  if l.paused == 1 then
    leave_ring(tenant)
    call('ZADD', PARKED, '+inf', tenant)
  else
    join_ring({ tenant })
    arm()
  end
end
return pack(LIMIT, l.paused, l.weight, l.at_once, l.interval, l.burst)
