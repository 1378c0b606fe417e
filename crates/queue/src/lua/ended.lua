-- How a job ends: it is retained for a while, its waiters hear of it, its key is free.

local function retain(class, tenant, id, rec)
  local list = class[tenant]
  if not list then
    list = {}
    class[tenant] = list
  end
  list[#list + 1] = id
  list[#list + 1] = rec
end

-- The job that an again-mark stands for.
local function from_mark(j)
  local m = j.again
  return { flags = 0, crashes = 0, attempt = 0, fence = j.fence, owner = NOBODY, started = 0, run_at = m.run_at,
    not_before = m.not_before, seq = m.seq, nonce = m.nonce, max = m.max, deadline = m.deadline,
    version = m.version, finished = 0, tenant = j.tenant, why = '', payload = m.payload }
end

local LETTERS = { [COMPLETED] = 'd', [FAILED] = 'f', [CANCELLED] = 'c' }

local function tell(key, j)
  local id, rec = key .. '-' .. j.nonce, write(j)
  retain(j.state == COMPLETED and kept.ok or kept.ko, j.tenant, id, rec)
  note(LETTERS[j.state], j.tenant, key, j.nonce)
  if band(j.flags, WATCHED) ~= 0 then call('PUBLISH', P .. 'ended', id .. '\n' .. rec) end
end

-- Ends a job that stands in no set any more. `version` is what its work was based on:
-- a mark above it becomes the next job of the key, any other shares this end.
local function end_job(key, j, state, why, version)
  local mark, flags = j.again, j.flags
  if band(flags, PURGED) ~= 0 then
    gone[#gone + 1] = key
    note('g', j.tenant, key, j.nonce)
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
