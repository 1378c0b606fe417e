-- Where a live job stands: in the waiting set of its tenant, delayed, or leased.

-- Lets one blocked worker look. O(1).
local function arm()
  if call('EXISTS', WAKE) == 0 then call('LPUSH', WAKE, '1') end
end

-- A tenant with waiting jobs takes part in the ring. It starts one turn after the
-- present, for one that starts at the present and leaves after each job would
-- always be served before those that stay. O(log tenants).
local function join_ring(tenant)
  local vt = tonumber(call('GET', VT) or '0')
  call('ZADD', RING, 'NX', vt + 1, tenant)
end

-- O(log tenants); the last one to leave takes the virtual time along.
local function leave_ring(tenant)
  call('ZREM', RING, tenant)
  if call('EXISTS', RING) == 0 then call('DEL', VT) end
end

-- Puts a job where its time says. O(log n). Does not store the record.
local function place(key, j)
  if j.run_at > now then
    j.state = QUEUED_LATER
    call('ZADD', DELAYED, j.run_at, key)
    call('ZADD', P .. 'd:' .. j.tenant, j.run_at, key)
    if call('ZRANGE', DELAYED, 0, 0)[1] == key then arm() end
  else
    j.state = WAITING
    call('ZADD', P .. 'w:' .. j.tenant, j.deadline, j.seq .. key)
    join_ring(j.tenant)
    arm()
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
    call('ZREM', P .. 'a:' .. j.tenant, key)
  end
end

-- Nothing waits and nothing is delayed: no key of the queue's order stays behind. O(1).
local function tidy()
  if call('EXISTS', RING, DELAYED) == 0 then call('DEL', WAKE, VT) end
end
