-- What is kept of ended jobs, and how many run; written at the end of a script.

-- Ended jobs of this call, by tenant: key-nonce, record, ...
local kept = { ok = {}, ko = {} }

-- What of a list is kept: what would be trimmed at once is not written at all.
local function latest(list, keep, records)
  local ids = {}
  for i = math.max(1, #list / 2 - keep + 1), #list / 2 do
    ids[#ids + 1] = list[2 * i - 1]
    records[#records + 1] = list[2 * i - 1]
    records[#records + 1] = list[2 * i]
  end
  return ids
end

-- O(ended); two calls per tenant, and two for all.
local function flush_class(lists, hash, infix, keep)
  if keep == 0 or not next(lists) then return end
  local ids, records, over, aged = {}, {}, {}, {}
  for tenant, list in pairs(lists) do ids[tenant] = latest(list, keep, records) end
  local are_all_new = call('HSET', hash, unpack(records)) == #records / 2
  for tenant, list in pairs(ids) do
    local set = P .. infix .. tenant
    if not are_all_new then
      -- An id that a pusher chose twice is kept once.
      for _, id in ipairs(list) do call('LREM', set, 0, id) end
    end
    local length = call('LPUSH', set, unpack(list))
    if length == #list then aged[#aged + 1], aged[#aged + 2] = whole(now), tenant end
    if length > keep then
      for _, id in ipairs(call('RPOP', set, math.min(length - keep, 1000))) do over[#over + 1] = id end
    end
  end
  for at = 1, #over, 1000 do call('HDEL', hash, unpack(over, at, math.min(at + 999, #over))) end
  if #aged > 0 then call('ZADD', AGED, 'NX', unpack(aged)) end
end

local function flush_ended(keep_ok, keep_ko)
  flush_class(kept.ok, OK, 'c:', keep_ok)
  flush_class(kept.ko, KO, 'f:', keep_ko)
  kept.ok, kept.ko = {}, {}
end

-- Counts what runs. O(tenants), a call for each.
local function flush_running()
  local none = {}
  for tenant, change in pairs(moved) do
    if change ~= 0 and call('HINCRBY', RUNNING, tenant, whole(change)) <= 0 then none[#none + 1] = tenant end
  end
  if #none > 0 then call('HDEL', RUNNING, unpack(none)) end
  moved = {}
end
