-- One turn of a worker: settles N jobs, takes over lost ones, moves due ones, claims M.
-- O(log n) per job; the calls are per tenant and batch, not per job.
-- ARGV: 3 want (0..500), 4 lease ms, 5 owner, 6 keep_ok, 7 keep_ko, 8 poison_after,
--       9.. settles: key, nonce, fence, op, version, ms, why
-- ops: D done, F failed, C cancelled, R retry in ms, r the same and nobody may come earlier,
--      S snooze until ms, s the same and nobody may come earlier, L give back
-- Answers: one letter per settle (its op; C if a cancellation came first; X if the job is
-- no longer ours), 1 if more is waiting, ms until something is due or a lease ends (-1: never),
-- the time, lost jobs to be ended by the caller (key, record, ...), claimed ones (key, record, ...).
local want, lease, owner = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local keep_ok, keep_ko, poison_after = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local left = {} -- tenant -> keys that no longer run

local function leave_active(key, tenant)
  local list = left[tenant]
  if not list then
    list = {}
    left[tenant] = list
  end
  list[#list + 1] = key
end

-- Two calls, and one per tenant.
local function flush_left(all)
  if #all > 0 then call('ZREM', LEASES, unpack(all)) end
  for tenant, list in pairs(left) do call('ZREM', P .. 'a:' .. tenant, unpack(list)) end
  left = {}
end

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

-- What most jobs come to, without taking the record apart: done, nobody asked for anything.
local function settle_plainly(key, tenant, nonce, flags, rec)
  leave_active(key, tenant)
  gone[#gone + 1] = key
  retain(kept.ok, tenant, key .. '-' .. nonce, pack('BB', COMPLETED, flags) .. sub(rec, 3, -7) .. pack('<I6', now))
  return 'D'
end

local function settle(at, rec, ours)
  local key, nonce, fence, op = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  if not rec then return 'X' end
  local state, flags = unpack_bytes('BB', rec)
  if state ~= ACTIVE or sub(rec, 12, 19) ~= nonce or unpack_bytes('<I7', rec, held_at(rec)) ~= fence then
    return 'X'
  end
  ours[#ours + 1] = key
  local tenant, why = unpack_bytes('BB', rec, 33)
  if op == 'D' and why == 0 and band(flags, CANCEL + WATCHED + PURGED + AGAIN) == 0 then
    return settle_plainly(key, sub(rec, 37, 36 + tenant), nonce, flags, rec)
  end
  local j = read(rec)
  leave_active(key, j.tenant)
  if not ENDS[op] and band(flags, CANCEL) ~= 0 then op = 'C' end
  if ENDS[op] then
    end_job(key, j, ENDS[op], ARGV[at + 6], tonumber(ARGV[at + 4]))
  else
    requeue(key, j, op, tonumber(ARGV[at + 5]), ARGV[at + 6])
  end
  return op
end

local function settle_all()
  local keys, letters, ours = {}, {}, {}
  for at = 9, #ARGV, 7 do keys[#keys + 1] = ARGV[at] end
  if #keys == 0 then return '' end
  local records = call('HMGET', JOBS, unpack(keys))
  for i = 1, #keys do
    letters[i] = settle(2 + 7 * i, records[i], ours)
  end
  flush_left(ours)
  flush_jobs()
  flush_ended(keep_ok, keep_ko)
  return table.concat(letters)
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
    else
      j.crashes = j.crashes + 1
      j.why = 'its worker was lost'
      if j.crashes >= poison_after or j.attempt >= j.max or band(j.flags, CANCEL) ~= 0 then
        j.fence, j.owner = now_us, owner
        call('ZADD', LEASES, now + lease, key)
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
  local moved, entered = {}, {}
  for i, key in ipairs(keys) do
    local j = records[i] and read(records[i])
    if j and j.state == QUEUED_LATER then
      j.state = WAITING
      store(key, j)
      moved[j.tenant] = moved[j.tenant] or {}
      entered[j.tenant] = entered[j.tenant] or {}
      local out, into = moved[j.tenant], entered[j.tenant]
      out[#out + 1] = key
      into[#into + 1] = j.deadline
      into[#into + 1] = j.seq .. key
    end
  end
  call('ZREM', DELAYED, unpack(keys))
  for tenant, list in pairs(moved) do
    call('ZREM', P .. 'd:' .. tenant, unpack(list))
    call('ZADD', P .. 'w:' .. tenant, unpack(entered[tenant]))
    join_ring(tenant)
  end
  flush_jobs()
end

-- How many jobs each tenant gets: whoever has the lowest virtual time is next, and a
-- turn costs 1. Turns cost all the same, so that those who are served queue up in
-- order and two queues are enough; weights will need a heap. O(want + tenants).
local function share_out()
  local front = call('ZRANGE', RING, 0, want - 1, 'WITHSCORES')
  local fresh, again = {}, {}
  for i = 1, #front, 2 do
    local have = call('ZCARD', P .. 'w:' .. front[i])
    if have == 0 then
      call('ZREM', RING, front[i])
    else
      fresh[#fresh + 1] = { name = front[i], tag = tonumber(front[i + 1]), have = have, take = 0 }
    end
  end
  local f, a, last = 1, 1, nil
  for _ = 1, want do
    local turn
    if fresh[f] and (not again[a] or fresh[f].tag <= again[a].tag) then
      turn = fresh[f]
      f = f + 1
    elseif again[a] then
      turn = again[a]
      a = a + 1
    else
      break
    end
    last = turn.tag
    turn.take, turn.tag = turn.take + 1, turn.tag + 1
    if turn.take < turn.have then again[#again + 1] = turn end
  end
  return fresh, last
end

-- A claim changes the front of a record and adds HELD; a mark's newer version is taken along.
local function lease_out(rec)
  local state, flags, crashes, attempt = unpack_bytes('<BBBB', rec)
  if state ~= WAITING then return nil end
  if band(flags, AGAIN) ~= 0 then
    local j = read(rec)
    local m = j.again
    j.version, j.payload = math.max(j.version, m.version), m.payload
    j.state, j.attempt, j.fence, j.owner, j.started = ACTIVE, attempt + 1, now_us, owner, now
    return write(j)
  end
  return pack('<BBBB', ACTIVE, flags, crashes, math.min(attempt + 1, 255)) .. sub(rec, 5)
    .. pack(HELD, now_us, owner, now, 0)
end

local function claim(jobs)
  local turns, last = share_out()
  for _, turn in ipairs(turns) do
    if turn.take > 0 then
      local popped, keys = call('ZPOPMIN', P .. 'w:' .. turn.name, turn.take), {}
      for i = 1, #popped, 2 do keys[#keys + 1] = sub(popped[i], 8) end
      local records, started, leases = call('HMGET', JOBS, unpack(keys)), {}, {}
      for i, key in ipairs(keys) do
        local rec = records[i] and lease_out(records[i])
        if rec then
          stored[#stored + 1], stored[#stored + 2] = key, rec
          jobs[#jobs + 1], jobs[#jobs + 2] = key, rec
          started[#started + 1], started[#started + 2] = now, key
          leases[#leases + 1], leases[#leases + 2] = now + lease, key
        end
      end
      if #started > 0 then
        call('ZADD', P .. 'a:' .. turn.name, unpack(started))
        call('ZADD', LEASES, unpack(leases))
      end
      if turn.take < turn.have then
        call('ZADD', RING, turn.tag, turn.name)
      else
        call('ZREM', RING, turn.name)
      end
    end
  end
  flush_jobs()
  return last
end

local function first_score(set)
  local first = call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

local letters, lost, jobs = settle_all(), {}, {}
reap(lost)
local last
if want > 0 then
  move_due()
  last = claim(jobs)
end

-- The marker is there while work is, so that workers wake one another one by one. A
-- worker that took all it could may be busy when the next job is due: another must know.
local more = call('EXISTS', RING)
local due, expiry = first_score(DELAYED), first_score(LEASES)
if more == 1 then
  if last then call('SET', VT, last) end
  arm()
elseif want > 0 then
  call('DEL', VT)
  if #jobs == 2 * want and due and due < now + 5000 then arm() else call('DEL', WAKE) end
end
local soonest = math.min(due or math.huge, expiry or math.huge)
return { letters, more, soonest == math.huge and -1 or math.max(0, soonest - now), now, lost, jobs }
