-- Looks over some jobs for damage that no script of ours does (a key deleted by hand, an
-- import of half the keys), and drops what is retained too long. O(100) per call.
-- ARGV: 3 cursor, 4 age in ms beyond which retained jobs are dropped, 5 lease ms
-- Answers: the next cursor, jobs that were put back, retained ones that were dropped.
local cutoff, lease = now - ARGV[4], tonumber(ARGV[5])
local healed, dropped = 0, 0

local function is_in_place(key, j)
  if j.state == WAITING then
    return call('ZSCORE', P .. 'w:' .. j.tenant, j.seq .. key) and call('ZSCORE', RING, j.tenant)
  elseif j.state == QUEUED_LATER then
    return call('ZSCORE', DELAYED, key) and call('ZSCORE', P .. 'd:' .. j.tenant, key)
  end
  return call('ZSCORE', LEASES, key) and call('ZSCORE', P .. 'a:' .. j.tenant, key)
end

local scan = call('HSCAN', JOBS, ARGV[3], 'COUNT', 100)
for i = 1, #scan[2], 2 do
  local key, j = scan[2][i], read(scan[2][i + 1])
  if not is_in_place(key, j) then
    healed = healed + 1
    if j.state == ACTIVE then
      call('ZADD', LEASES, 'NX', now + lease, key)
      call('ZADD', P .. 'a:' .. j.tenant, j.started, key)
    else
      unplace(key, j)
      place(key, j)
      store(key, j)
    end
  end
end
flush_jobs()

local function drop_old(infix, hash, tenant)
  local set = P .. infix .. tenant
  local ids = call('ZRANGEBYSCORE', set, '-inf', cutoff, 'LIMIT', 0, 200)
  if #ids > 0 then
    call('ZREM', set, unpack(ids))
    dropped = dropped + call('HDEL', hash, unpack(ids))
  end
  local first = call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

for _, tenant in ipairs(call('ZRANGEBYSCORE', AGED, '-inf', cutoff, 'LIMIT', 0, 20)) do
  local ok, ko = drop_old('c:', OK, tenant), drop_old('f:', KO, tenant)
  if ok or ko then
    call('ZADD', AGED, math.min(ok or math.huge, ko or math.huge), tenant)
  else
    call('ZREM', AGED, tenant)
  end
end
return { scan[1], healed, dropped }
