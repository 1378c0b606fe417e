-- What a worker's turn seldom needs, made when it is first needed.

-- A try that is not the last word: the job is queued again.
local function requeue(key, j, op, ms, why)
  j.owner = NOBODY
  local until_ms = now
  if op == 'R' or op == 'r' then
    until_ms = now + ms
    j.why = why
  else
    j.attempt = math.max(0, j.attempt - 1)
    if op == 'S' or op == 's' then until_ms = ms end
  end
  local m = j.again
  if op == 'r' or op == 's' then j.not_before = math.max(j.not_before, until_ms) end
  if m then
    j.not_before = math.max(j.not_before, m.not_before)
    j.deadline = math.min(j.deadline, m.deadline)
    if m.now == 1 then until_ms = now end
  end
  j.run_at = math.max(until_ms, j.not_before)
  place(key, j)
  store(key, j)
end

local ENDS = { D = COMPLETED, F = FAILED, C = CANCELLED }

-- Settles a job in any way.
local function settle(line, key, rec)
  if not rec or byte(rec) ~= ACTIVE or sub(rec, 12, 19) ~= sub(line, 9, 16) then return 'X' end
  local at = held_at(rec)
  if sub(rec, at, at + 6) ~= sub(line, 2, 8) then return 'X' end
  ours[#ours + 1] = key
  local op, j = sub(line, 1, 1), read(rec)
  runs(j.tenant, -1)
  if not ENDS[op] and band(j.flags, CANCEL) ~= 0 then op = 'C' end
  local version, ms = unpack_bytes('<I6I6', line, 17)
  local why = sub(line, 30, 29 + byte(line, 29))
  if ENDS[op] then
    end_job(key, j, ENDS[op], why, version)
  else
    requeue(key, j, op, ms, why)
  end
  return op
end

-- Settles a job that its worker calls done at the version it was claimed at.
local function settle_plain(fence, id, key, rec)
  if not rec then return 'X' end
  return settle('D' .. fence .. sub(id, -8) .. sub(rec, 27, 32) .. NOBODY .. '\0' .. key, key, rec)
end

-- Jobs whose worker was lost: they wait again, or are handed out to be ended. O(log n) each, up to 100.
local function reap(lost)
  local keys = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, 100)
  if #keys == 0 then return end
  local records = call('HMGET', JOBS, unpack(keys))
  for i, key in ipairs(keys) do
    local j = records[i] and read(records[i])
    if not j or j.state ~= ACTIVE then
      call('ZREM', LEASES, key)
    elseif band(j.flags, PURGED) ~= 0 then
      unplace(key, j)
      gone[#gone + 1] = key
      note('g', j.tenant, key, j.nonce)
    else
      j.crashes = j.crashes + 1
      j.why = 'its worker was lost'
      if j.crashes >= poison_after or j.attempt >= j.max or band(j.flags, CANCEL) ~= 0 then
        j.fence, j.owner = now_us, owner
        call('ZADD', LEASES, lease_end, key)
        store(key, j)
        lost[#lost + 1] = key
        lost[#lost + 1] = stored[#stored]
      else
        unplace(key, j)
        j.owner, j.run_at = NOBODY, math.max(now, j.not_before)
        place(key, j)
        store(key, j)
      end
    end
  end
  flush_jobs()
end

-- Delayed jobs that are due wait. O(log n) each, up to 500.
local function move_due()
  local keys = call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, math.min(500, 2 * want + 50))
  if #keys == 0 then return end
  local records = call('HMGET', JOBS, unpack(keys))
  local left, entered, tenants = {}, {}, {}
  for i, key in ipairs(keys) do
    local j = records[i] and read(records[i])
    if j and j.state == QUEUED_LATER then
      j.state = WAITING
      store(key, j)
      note('w', j.tenant, key, j.nonce)
      if not left[j.tenant] then
        left[j.tenant], entered[j.tenant] = {}, {}
        tenants[#tenants + 1] = j.tenant
      end
      local out, into = left[j.tenant], entered[j.tenant]
      out[#out + 1] = key
      into[#into + 1] = whole(j.deadline)
      into[#into + 1] = j.seq .. key
    end
  end
  call('ZREM', DELAYED, unpack(keys))
  for _, tenant in ipairs(tenants) do
    call('ZREM', P .. 'd:' .. tenant, unpack(left[tenant]))
    call('ZADD', P .. 'w:' .. tenant, unpack(entered[tenant]))
  end
  join_ring(tenants)
  flush_jobs()
end

-- Tenants come back to the ring: whose time has come, and, for one of its jobs has ended,
-- who may only run so many at once. O(log tenants) each, up to 64 and those that settled.
local function unpark()
  local due = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 64)
  for tenant, change in pairs(moved) do
    if change < 0 then
      local score = call('ZSCORE', PARKED, tenant)
      if score and score ~= 'inf' then due[#due + 1] = tenant end
    end
  end
  if #due == 0 then return end
  call('ZREM', PARKED, unpack(due))
  join_ring(due)
end

-- The generic cell rate algorithm: how many jobs a rate allows by now, and when the next
-- one, in ms. `used_to` is up to when the rate is used.
local function allowance(limit, used_to)
  if limit.interval == 0 then return math.huge, nil end
  local used = math.max(tonumber(used_to or 0), now_us)
  local count = math.floor((now_us + limit.burst * limit.interval - used) / limit.interval)
  if count > 0 then return count, nil end
  return 0, math.ceil((used + (1 - limit.burst) * limit.interval) / 1000)
end

local function spend(name, limit, count)
  if limit.interval == 0 or count == 0 then return end
  local used = math.max(tonumber(call('HGET', RATES, name) or 0), now_us)
  call('HSET', RATES, name, whole(used + count * limit.interval))
end

-- How many jobs a tenant may have now, and otherwise when to look again.
local function room_of(tenant)
  local limit = limit_of(call('HGET', LIMITS, tenant))
  if limit.paused == 1 then return 0, '+inf', limit end
  local room, at = allowance(limit, limit.interval > 0 and call('HGET', RATES, tenant))
  if limit.at_once > 0 then
    local free = limit.at_once - (call('HGET', RUNNING, tenant) or 0) - (moved[tenant] or 0)
    -- It comes back when one of its jobs ends; after a lease in any case.
    if free <= 0 then return 0, now + lease, limit end
    room = math.min(room, free)
  end
  return room, at, limit
end

local function park(name, at)
  leaving[#leaving + 1] = name
  call('ZADD', PARKED, at == '+inf' and at or whole(at), name)
end

-- What the limits of a tenant leave of its turn; parks it if that is nothing.
local function limit_turn(turn)
  local room, at
  room, at, turn.limit = room_of(turn.name)
  if room == 0 then
    park(turn.name, at)
    return nil
  end
  turn.have, turn.cost = math.min(turn.have, room), 1 / turn.limit.weight
  return turn
end

-- Whether a tenant that got all that it may have stays in the ring all the same. If not, it
-- leaves, or is parked if it has more.
local function stays(turn)
  if call('EXISTS', P .. 'w:' .. turn.name) == 0 then
    leaving[#leaving + 1] = turn.name
    return false
  end
  local room, at = room_of(turn.name)
  if room == 0 then park(turn.name, at) end
  return room > 0
end

-- How many jobs the queue as a whole gives out now, and otherwise when it gives out more.
local function room_of_all(limit)
  if limit.paused == 1 then return 0, math.huge end
  if limit.at_once > 0 and call('ZCARD', LEASES) >= limit.at_once then return 0, math.huge end
  local room, at = allowance(limit, limit.interval > 0 and call('HGET', RATES, ''))
  if limit.at_once > 0 then room = math.min(room, limit.at_once - call('ZCARD', LEASES)) end
  return room, at
end

-- What the limits of the queue as a whole leave of a wish.
local function bound(wish)
  local limit = limit_of(call('HGET', LIMITS, ''))
  return math.min(wish, (room_of_all(limit))), limit
end

-- After a claim: from when on the queue gives out more, by its own limits; nil if it does.
local function closed_until(limit, claimed)
  spend('', limit, claimed)
  local _, at = room_of_all(limit)
  return at
end

-- The worker's turn takes marked jobs, with the newer version of the mark.
local function lease_marked(rec)
  local j = read(rec)
  local m = j.again
  j.version, j.payload = math.max(j.version, m.version), m.payload
  j.state, j.attempt, j.fence, j.owner, j.started = ACTIVE, j.attempt + 1, now_us, owner, now
  return write(j)
end

return { settle = settle, settle_plain = settle_plain, reap = reap, move_due = move_due, unpark = unpark, spend = spend, limit_turn = limit_turn,
  stays = stays, bound = bound, closed_until = closed_until, lease_marked = lease_marked, note = note,
  flush_jobs = flush_jobs, flush_events = flush_events, arm = arm }
