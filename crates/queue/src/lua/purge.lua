-- Removes all jobs of a tenant, or all of one key. O(log n) per job, up to 500 of each kind.
-- ARGV: 4 tenant, 5 key or ''
-- Answers: how many were removed, how many run and were told, 1 if there is more.
local tenant, only = ARGV[4], ARGV[5]
local removed, running = 0, 0

local function tell_running(key, j)
  running = running + 1
  j.flags = bor(j.flags, CANCEL + PURGED)
  j.again = nil
  store(key, j)
  call('PUBLISH', P .. 'cancel', key .. '-' .. j.nonce)
end

local function drop_ended(infix, hash)
  local set, ids = P .. infix .. tenant, {}
  if only == '' then
    ids = call('RPOP', set, 500) or {}
  else
    for _, id in ipairs(call('LRANGE', set, 0, 999)) do
      if sub(id, 1, -10) == only then
        ids[#ids + 1] = id
        call('LREM', set, 0, id)
      end
    end
  end
  if #ids > 0 then removed = removed + call('HDEL', hash, unpack(ids)) end
end

local function drop_waiting()
  local popped = call('ZPOPMIN', P .. 'w:' .. tenant, 500)
  for i = 1, #popped, 2 do gone[#gone + 1] = sub(popped[i], 8) end
  if call('EXISTS', P .. 'w:' .. tenant) == 0 then leave_ring(tenant) end
end

local function drop_delayed()
  local popped, keys = call('ZPOPMIN', P .. 'd:' .. tenant, 500), {}
  for i = 1, #popped, 2 do
    keys[#keys + 1] = popped[i]
    gone[#gone + 1] = popped[i]
  end
  if #keys > 0 then call('ZREM', DELAYED, unpack(keys)) end
end

local function tell_all_running()
  local to_find = tonumber(call('HGET', RUNNING, tenant) or 0)
  local from = 0
  while to_find > 0 do
    local keys = call('ZRANGE', LEASES, from, from + 499)
    if #keys == 0 then return end
    local records = call('HMGET', JOBS, unpack(keys))
    for i, key in ipairs(keys) do
      local j = records[i] and byte(records[i]) == ACTIVE and read(records[i])
      if j and j.tenant == tenant then
        tell_running(key, j)
        to_find = to_find - 1
      end
    end
    from = from + 500
  end
end

if only == '' then
  drop_waiting()
  drop_delayed()
  tell_all_running()
else
  local rec = call('HGET', JOBS, only)
  local j = rec and read(rec)
  if j and j.state == ACTIVE then
    tell_running(only, j)
  elseif j then
    unplace(only, j)
    gone[#gone + 1] = only
  end
end
removed = removed + #gone
flush_jobs()
drop_ended('c:', OK)
drop_ended('f:', KO)

local more = 0
if only == '' then
  more = call('EXISTS', P .. 'w:' .. tenant, P .. 'd:' .. tenant, P .. 'c:' .. tenant, P .. 'f:' .. tenant)
end
if call('EXISTS', P .. 'c:' .. tenant, P .. 'f:' .. tenant) == 0 then call('ZREM', AGED, tenant) end
tidy()
flush_events()
return { removed, running, more > 0 and 1 or 0 }
