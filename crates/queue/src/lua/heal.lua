-- Looks over some jobs for damage that no script of ours does (a key deleted by hand, an
-- import of half the keys), and drops what is retained too long. O(100) per call, and at the
-- start of a round O(running), up to 1,000.
-- ARGV: 4 cursor, 5 age in ms beyond which retained jobs are dropped, 6 lease ms
-- Answers: the next cursor, jobs that were put back, retained ones that were dropped.
local cutoff, lease = now - ARGV[5], tonumber(ARGV[6])
local healed, dropped = 0, 0

local function takes_turns(tenant)
  return call('ZSCORE', RING, tenant) or call('ZSCORE', PARKED, tenant)
end

local function is_in_place(key, j)
  if j.state == WAITING then
    return call('ZSCORE', P .. 'w:' .. j.tenant, j.seq .. key) and takes_turns(j.tenant)
  elseif j.state == QUEUED_LATER then
    return call('ZSCORE', DELAYED, key) and call('ZSCORE', P .. 'd:' .. j.tenant, key)
  end
  return call('ZSCORE', LEASES, key)
end

local scan = call('HSCAN', JOBS, ARGV[4], 'COUNT', 100)
for i = 1, #scan[2], 2 do
  local key, j = scan[2][i], read(scan[2][i + 1])
  if not is_in_place(key, j) then
    healed = healed + 1
    if j.state == ACTIVE then
      call('ZADD', LEASES, 'NX', now + lease, key)
    else
      unplace(key, j)
      place(key, j)
      store(key, j)
    end
  end
end
flush_jobs()

-- How many run, by tenant, is told from the leases, if these are not too many for one call.
local function recount()
  if call('ZCARD', LEASES) > 1000 then return end
  local keys, counts = call('ZRANGE', LEASES, 0, 999), {}
  local records = #keys > 0 and call('HMGET', JOBS, unpack(keys)) or {}
  for i in ipairs(keys) do
    if records[i] and byte(records[i]) == ACTIVE then
      local tenant = sub(records[i], 37, 36 + byte(records[i], 33))
      counts[tenant] = (counts[tenant] or 0) + 1
    end
  end
  call('DEL', RUNNING)
  for tenant, count in pairs(counts) do call('HSET', RUNNING, tenant, whole(count)) end
end

if ARGV[4] == '0' then recount() end

-- The oldest that is left ended then.
local function drop_old(infix, hash, tenant)
  local set = P .. infix .. tenant
  for _ = 1, 200 do
    local id = call('LINDEX', set, -1)
    if not id then return nil end
    local rec = call('HGET', hash, id)
    local finished = rec and read(rec).finished
    if finished and finished > cutoff then return finished end
    call('RPOP', set)
    dropped = dropped + call('HDEL', hash, id)
  end
  return cutoff
end

for _, tenant in ipairs(call('ZRANGEBYSCORE', AGED, '-inf', cutoff, 'LIMIT', 0, 20)) do
  local ok, ko = drop_old('c:', OK, tenant), drop_old('f:', KO, tenant)
  if ok or ko then
    call('ZADD', AGED, whole(math.min(ok or math.huge, ko or math.huge)), tenant)
  else
    call('ZREM', AGED, tenant)
  end
end
flush_events()
return { scan[1], healed, dropped }
