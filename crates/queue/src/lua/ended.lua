-- How a job ends: it is retained for a while, its waiters hear of it, its key is free.

local kept = { ok = {}, ko = {} }

local function retain(class, tenant, id, rec)
  local list = class[tenant]
  if not list then
    list = {}
    class[tenant] = list
  end
  list[#list + 1] = id
  list[#list + 1] = rec
end

-- O(kept) per tenant; what would be trimmed at once is not written at all.
local function flush_class(lists, hash, infix, keep)
  for tenant, list in pairs(lists) do
    local n = #list / 2
    local set = P .. infix .. tenant
    if keep > 0 then
      local scores, records = {}, {}
      for i = math.max(1, n - keep + 1), n do
        -- In us, so that ends of one ms keep their order.
        scores[#scores + 1] = (now_us + i) / 1000
        scores[#scores + 1] = list[2 * i - 1]
        records[#records + 1] = list[2 * i - 1]
        records[#records + 1] = list[2 * i]
      end
      call('ZADD', set, unpack(scores))
      call('HSET', hash, unpack(records))
      call('ZADD', AGED, 'NX', now, tenant)
    end
    local over = call('ZCARD', set) - keep
    if over > 0 then
      local popped, ids = call('ZPOPMIN', set, math.min(over, 1000)), {}
      for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
      call('HDEL', hash, unpack(ids))
    end
  end
end

local function flush_ended(keep_ok, keep_ko)
  flush_class(kept.ok, OK, 'c:', keep_ok)
  flush_class(kept.ko, KO, 'f:', keep_ko)
  kept = { ok = {}, ko = {} }
end

-- The job that an again-mark stands for.
local function from_mark(j)
  local m = j.again
  return { flags = 0, crashes = 0, attempt = 0, fence = j.fence, owner = NOBODY, started = 0, run_at = m.run_at,
    not_before = m.not_before, seq = m.seq, nonce = m.nonce, max = m.max, deadline = m.deadline,
    version = m.version, finished = 0, tenant = j.tenant, why = '', payload = m.payload }
end

local function tell(key, j)
  local id, rec = key .. '-' .. j.nonce, write(j)
  retain(j.state == COMPLETED and kept.ok or kept.ko, j.tenant, id, rec)
  if band(j.flags, WATCHED) ~= 0 then call('PUBLISH', P .. 'ended', id .. '\n' .. rec) end
end

-- Ends a job that stands in no set any more. `version` is what its work was based on:
-- a mark above it becomes the next job of the key, any other shares this end.
local function end_job(key, j, state, why, version)
  local mark, flags = j.again, j.flags
  if band(flags, PURGED) ~= 0 then
    gone[#gone + 1] = key
    return
  end
  local next_job = mark and mark.version > version and from_mark(j)
  j.again = nil
  j.state, j.finished, j.why, j.owner = state, now, why, NOBODY
  j.flags = band(flags, WATCHED)
  tell(key, j)
  if mark and not next_job then
    local nonce = j.nonce
    j.nonce, j.served = mark.nonce, nonce
    tell(key, j)
    j.nonce, j.served = nonce, nil
  end
  if next_job then
    next_job.flags = band(flags, WATCHED)
    next_job.run_at = math.max(next_job.run_at, next_job.not_before)
    place(key, next_job)
    store(key, next_job)
  else
    gone[#gone + 1] = key
  end
end
