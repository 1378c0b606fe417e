-- The worker's turn itself, for jobs as most of them are; others are left to rare.lua.

local rare_functions
local function rare()
  rare_functions = rare_functions or make_rare()
  return rare_functions
end

local function first_score(set)
  local first = call('ZRANGE', set, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

-- What most jobs come to, without taking the record apart: done, no error before, nobody
-- asked for anything. By their flags, the first two bytes (state, flags) when they have ended.
local PLAIN = { [0] = '\4\0', [32] = '\4\32', [64] = '\4\64', [96] = '\4\96' }

local function settle_all()
  local count = #ARGV - 9
  if count == 0 then return '' end
  local keys, letters, finished = {}, {}, pack('<I6', now)
  for i = 1, count do
    local line = ARGV[i + 9]
    keys[i] = sub(line, 30 + byte(line, 29))
  end
  local records = call('HMGET', JOBS, unpack(keys))
  for i = 1, count do
    local key, rec, line = keys[i], records[i], ARGV[i + 9]
    local state, flags, tenant, why
    if rec then
      state, flags = byte(rec, 1, 2)
      tenant, why = byte(rec, 33, 34)
    end
    local front = state == ACTIVE and PLAIN[flags]
    -- The fence stands 25 bytes before the end where nothing follows HELD; no two jobs of a key share one.
    if front and byte(line) == 68 and why == 0 and sub(rec, -25, -19) == sub(line, 2, 8) then
      local nonce = sub(line, 9, 16)
      tenant = sub(rec, 37, 36 + tenant)
      local list = kept.ok[tenant]
      if not list then
        list = {}
        kept.ok[tenant] = list
      end
      local n = #list
      list[n + 1], list[n + 2] = key .. '-' .. nonce, front .. sub(rec, 3, -7) .. finished
      moved[tenant] = (moved[tenant] or 0) - 1
      ours[#ours + 1], gone[#gone + 1], letters[i] = key, key, 'D'
      if watched then rare().note('d', tenant, key, nonce) end
    else
      letters[i] = rare().settle(line, key, rec)
    end
  end
  if #ours > 0 then call('ZREM', LEASES, unpack(ours)) end
  if #stored > 0 then call('HSET', JOBS, unpack(stored)) end
  if #gone > 0 then call('HDEL', JOBS, unpack(gone)) end
  stored, gone = {}, {}
  flush_ended(keep_ok, keep_ko)
  return table.concat(letters)
end

-- A turn in the ring: a tenant, what it has, and what a job costs it. Nothing if it is to be
-- passed over.
local function open_turn(name, tag)
  local turn = { name = name, tag = tonumber(tag), have = call('ZCARD', P .. 'w:' .. name), take = 0, cost = 1 }
  if turn.have == 0 then
    leaving[#leaving + 1] = name
    return nil
  end
  return bounded and rare().limit_turn(turn) or not bounded and turn or nil
end

-- How many jobs each tenant gets: whoever has the lowest virtual time is next. A turn is
-- one job, or some where many are claimed, so that the calls of Redis are fewer; what it
-- costs is the same. At most 64 tenants are passed over. O(want * log want + tenants).
local function share_out(left)
  local front = call('ZRANGE', RING, 0, left - 1 + (bounded and 64 or 0), 'WITHSCORES')
  local quantum = math.ceil(left / 8)
  local turns, line, first, last = {}, {}, 1, nil
  local f, fresh, passed = 1, nil, 0
  while left > 0 do
    while not fresh and front[f] and passed < 64 do
      fresh = open_turn(front[f], front[f + 1])
      f = f + 2
      if not fresh then passed = passed + 1 end
    end
    local turn = line[first]
    if fresh and (not turn or fresh.tag <= turn.tag) then
      turn, fresh = fresh, nil
      turns[#turns + 1] = turn
    elseif turn then
      first = first + 1
    else
      break
    end
    local count = math.min(quantum, left, turn.have - turn.take)
    last, left = turn.tag, left - count
    turn.take, turn.tag = turn.take + count, turn.tag + count * turn.cost
    if turn.take < turn.have then
      local at = #line
      while at >= first and line[at].tag > turn.tag do
        line[at + 1] = line[at]
        at = at - 1
      end
      line[at + 1] = turn
    end
  end
  return turns, last
end

-- Takes the jobs of each turn out of their waiting sets.
local function pop(turns)
  local keys, tenants, staying, n = {}, {}, {}, 0
  for _, turn in ipairs(turns) do
    local name = turn.name
    local popped = call('ZPOPMIN', P .. 'w:' .. name, turn.take)
    for i = 1, #popped, 2 do
      n = n + 1
      keys[n], tenants[n] = sub(popped[i], 8), name
    end
    moved[name] = (moved[name] or 0) + #popped / 2
    if turn.limit then rare().spend(name, turn.limit, #popped / 2) end
    if turn.take < turn.have or turn.limit and rare().stays(turn) then
      staying[#staying + 1], staying[#staying + 2] = turn.tag, name
    elseif not turn.limit then
      leaving[#leaving + 1] = name
    end
  end
  if #staying > 0 then call('ZADD', RING, unpack(staying)) end
  if #leaving > 0 then call('ZREM', RING, unpack(leaving)) end
  return keys, tenants
end

-- A claim changes the front of a record (state, flags, crashes, attempt) and adds HELD: who
-- runs it since when, the same for all.
local function claim()
  local turns, last = share_out(want)
  local keys, tenants = pop(turns)
  if #keys == 0 then return {}, last end
  local records = call('HMGET', JOBS, unpack(keys))
  local jobs, leases, n = {}, {}, 0
  local held, fronts = pack('<I7c6I6I6', now_us, owner, now, 0), {}
  for i = 1, #keys do
    local key, rec = keys[i], records[i]
    local front = rec and sub(rec, 1, 4)
    if rec and not fronts[front] then
      local state, flags, crashes, attempt = byte(front, 1, 4)
      if state ~= WAITING then
        rec = nil
      elseif band(flags, AGAIN) ~= 0 then
        rec = rare().lease_marked(rec)
      else
        fronts[front] = pack('BBBB', ACTIVE, flags, crashes, math.min(attempt + 1, 255))
      end
    end
    if not rec then
      -- It stood here without being there.
      moved[tenants[i]] = moved[tenants[i]] - 1
    else
      if fronts[front] then rec = fronts[front] .. sub(rec, 5) .. held end
      jobs[n + 1], jobs[n + 2], leases[n + 1], leases[n + 2] = key, rec, lease_end, key
      n = n + 2
      if watched then rare().note('a', tenants[i], key, sub(rec, 12, 19)) end
    end
  end
  if n > 0 then
    call('HSET', JOBS, unpack(jobs))
    call('ZADD', LEASES, unpack(leases))
  end
  return jobs, last
end

local letters, lost, jobs = settle_all(), {}, {}
local due, expiry = first_score(DELAYED), first_score(LEASES)
if expiry and expiry <= now then
  rare().reap(lost)
  due, expiry = first_score(DELAYED), first_score(LEASES)
end
if bounded then rare().unpark() end
local asked, last, closed = want, nil, nil
if want > 0 then
  if due and due <= now then
    rare().move_due()
    due = first_score(DELAYED)
  end
  local limit
  if bounded then want, limit = rare().bound(want) end
  if want > 0 then jobs, last = claim() end
  if #jobs > 0 then expiry = math.min(expiry or math.huge, now + lease) end
  if limit then
    closed = rare().closed_until(limit, #jobs / 2)
  end
end
flush_running()
if watched then rare().flush_events() end

-- The marker is there while work is, so that workers wake one another one by one. A
-- worker that took all it could may be busy when the next job is due: another must know.
local more = call('EXISTS', RING)
local parked = bounded and first_score(PARKED)
local soonest = math.min(due or math.huge, parked or math.huge, closed or math.huge)
if more == 1 and last then call('SET', VT, last) end
if more == 1 and not closed then
  if call('EXISTS', WAKE) == 0 then call('LPUSH', WAKE, '1') end
elseif asked > 0 then
  if more == 0 then call('DEL', VT) end
  if #jobs == 2 * asked and soonest < now + 5000 then
    if call('EXISTS', WAKE) == 0 then call('LPUSH', WAKE, '1') end
  else
    call('DEL', WAKE)
  end
end
if closed then more = 0 end
soonest = math.min(soonest, expiry or math.huge)
return { letters, more, soonest == math.huge and -1 or math.max(0, soonest - now), lost, jobs }
