-- Where a live job stands: in the waiting set of its tenant, delayed, or leased.

-- Lets one blocked worker look. O(1).
local function arm()
  if call('EXISTS', WAKE) == 0 then call('LPUSH', WAKE, '1') end
end

-- Limits as they are packed; limits.rs has the same table: paused, weight, jobs at once (0: any
-- number), us per job (0: any rate), burst.
local LIMIT = '<BI4I4I6I4'

local function limit_of(packed)
  local l = { paused = 0, weight = 1, at_once = 0, interval = 0, burst = 1 }
  if packed then l.paused, l.weight, l.at_once, l.interval, l.burst = unpack_bytes(LIMIT, packed) end
  return l
end

-- Tenants with waiting jobs take part in the ring, unless they are parked. They start one
-- turn after the present (who is served next), for one that starts at the present and leaves
-- after each job would always be served before those that stay. O(log tenants) each.
local function join_ring(tenants)
  if #tenants == 0 then return end
  local vt = tonumber(call('ZRANGE', RING, 0, 0, 'WITHSCORES')[2] or '0')
  local args = {}
  local parked = bounded and call('ZMSCORE', PARKED, unpack(tenants))
  local limits = bounded and call('HMGET', LIMITS, unpack(tenants))
  for i, tenant in ipairs(tenants) do
    if not parked or not parked[i] then
      local weight = limits and limits[i] and limit_of(limits[i]).weight or 1
      args[#args + 1], args[#args + 2] = vt + 1 / weight, tenant
    end
  end
  if #args > 0 then call('ZADD', RING, 'NX', unpack(args)) end
end

-- O(log tenants).
local function leave_ring(tenant)
  call('ZREM', RING, tenant)
  if bounded then call('ZREM', PARKED, tenant) end
end

-- One more or fewer job of a tenant runs.
local function runs(tenant, change)
  moved[tenant] = (moved[tenant] or 0) + change
end

-- Puts a job where its time says. O(log n). Does not store the record.
local function place(key, j)
  if j.run_at > now then
    j.state = QUEUED_LATER
    call('ZADD', DELAYED, whole(j.run_at), key)
    call('ZADD', P .. 'd:' .. j.tenant, whole(j.run_at), key)
    if call('ZRANGE', DELAYED, 0, 0)[1] == key then arm() end
    note('l', j.tenant, key, j.nonce)
  else
    j.state = WAITING
    call('ZADD', P .. 'w:' .. j.tenant, whole(j.deadline), j.seq .. key)
    join_ring({ j.tenant })
    arm()
    note('w', j.tenant, key, j.nonce)
  end
end

-- Takes a job out of the set it stands in. O(log n).
local function unplace(key, j)
  if j.state == WAITING then
    local waiting = P .. 'w:' .. j.tenant
    call('ZREM', waiting, j.seq .. key)
    if call('EXISTS', waiting) == 0 then leave_ring(j.tenant) end
  elseif j.state == QUEUED_LATER then
    call('ZREM', DELAYED, key)
    call('ZREM', P .. 'd:' .. j.tenant, key)
  elseif j.state == ACTIVE then
    call('ZREM', LEASES, key)
    runs(j.tenant, -1)
  end
end

-- Nothing waits and nothing is delayed: no key of the queue's order stays behind. O(1).
local function tidy()
  if call('EXISTS', RING, DELAYED, PARKED) == 0 then call('DEL', WAKE) end
end
