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

-- The flags of a job that is not taken apart when it is done: nobody asked for anything.
local PLAIN = { [0] = true, [RUN_AT] = true, [NOT_BEFORE] = true, [RUN_AT + NOT_BEFORE] = true }

-- The keys of all settles: first of those that have a line.
local function settled_keys(lines)
  local keys, n, at = {}, lines, lines + 12
  for i = 1, lines do
    local line = ARGV[i + 11]
    keys[i] = sub(line, 30 + byte(line, 29))
  end
  while ARGV[at] do
    local last = at + 2 + ARGV[at + 2]
    for i = at + 3, last do
      n = n + 1
      keys[n] = sub(ARGV[i], 1, -10)
    end
    at = last + 1
  end
  return keys
end

local function settle_all()
  if #ARGV == 11 then return '' end
  local lines, letters = tonumber(ARGV[11]), {}
  local keys, finished, find = settled_keys(lines), pack('<I6', now), string.find
  local records = call('HMGET', JOBS, unpack(keys))
  for i = 1, lines do letters[i] = rare().settle(ARGV[i + 11], keys[i], records[i]) end
  local n, at = lines, lines + 12
  while ARGV[at] do
    local fence, tenant, last = ARGV[at], ARGV[at + 1], at + 2 + ARGV[at + 2]
    local list = kept.ok[tenant]
    for i = at + 3, last do
      n = n + 1
      local id, key, rec, state, flags = ARGV[i], keys[n], records[n], nil, nil
      if rec then state, flags = byte(rec, 1, 2) end
      -- The fence stands 25 bytes before the end where nothing follows HELD; no two jobs of a
      -- key share one. Such a record ends as COMPLETED by the time that is added to it.
      if state == ACTIVE and PLAIN[flags] and byte(rec, 34) == 0 and find(rec, fence, -25, true) == #rec - 24 then
        if not list then
          list = {}
          kept.ok[tenant] = list
        end
        local k = #list
        list[k + 1], list[k + 2] = id, rec .. finished
        moved[tenant] = (moved[tenant] or 0) - 1
        ours[#ours + 1], gone[#gone + 1], letters[n] = key, key, 'D'
        if watched then rare().note('d', tenant, key, sub(id, -8)) end
      else
        letters[n] = rare().settle_plain(fence, id, key, rec)
      end
    end
    at = last + 1
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

-- How many jobs each tenant gets. Whoever has the lowest virtual time is next; but a claim
-- visits only a few tenants unless these run dry, for the calls per tenant are what it costs,
-- and deals among them. Who is not visited is the first of the next claim. At most 64 tenants
-- are passed over. O(want + tenants).
local function share_out(left)
  local few, quantum = left < 8 and 2 or left < 16 and 3 or 4, math.ceil(left / 8)
  local page = bounded and 68 or few + 1
  local front, f, from = call('ZRANGE', RING, 0, page - 1, 'WITHSCORES'), 1, page
  local turns, line, fresh, passed = {}, {}, nil, 0
  while left > 0 do
    while not fresh and front[f] and passed < 64 and #line < few do
      fresh = open_turn(front[f], front[f + 1])
      f = f + 2
      if not fresh then passed = passed + 1 end
      if not front[f] and f > 2 * page then
        front, f = call('ZRANGE', RING, from, from + page - 1, 'WITHSCORES'), 1
        from = from + page
      end
    end
    local turn = line[1]
    if fresh and (not turn or fresh.tag <= turn.tag) then
      turn, fresh = fresh, nil
      turns[#turns + 1] = turn
    elseif turn then
      table.remove(line, 1)
    else
      break
    end
    local count = math.min(quantum, left, turn.have - turn.take)
    left = left - count
    turn.take, turn.tag = turn.take + count, turn.tag + count * turn.cost
    if turn.take < turn.have then
      local at = #line
      while at > 0 and line[at].tag > turn.tag do
        line[at + 1] = line[at]
        at = at - 1
      end
      line[at + 1] = turn
    end
  end
  return turns
end

-- Takes the jobs of each turn out of their waiting sets.
local function pop(turns)
  local keys, tenants, staying, n = {}, {}, {}, 0
  for _, turn in ipairs(turns) do
    local name, set = turn.name, P .. 'w:' .. turn.name
    local first = call('ZRANGE', set, 0, turn.take - 1)
    call('ZREMRANGEBYRANK', set, 0, turn.take - 1)
    for i = 1, #first do
      n = n + 1
      keys[n], tenants[n] = sub(first[i], 8), name
    end
    moved[name] = (moved[name] or 0) + #first
    if turn.limit then rare().spend(name, turn.limit, #first) end
    if turn.take < turn.have or turn.limit and rare().stays(turn) then
      local tag = turn.tag
      staying[#staying + 1], staying[#staying + 2] = tag % 1 == 0 and whole(tag) or tag, name
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
  local keys, tenants = pop(share_out(want))
  if #keys == 0 then return {} end
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
  return jobs
end

local letters, lost, jobs = settle_all(), {}, {}
local looks, due, expiry = ARGV[10] == '1', nil, nil
if looks then
  expiry = first_score(LEASES)
  if expiry and expiry <= now then
    rare().reap(lost)
    expiry = first_score(LEASES)
  end
end
if bounded then rare().unpark() end
local asked, closed = want, nil
if want > 0 then
  due = looks and first_score(DELAYED)
  if due and due <= now then
    rare().move_due()
    due = first_score(DELAYED)
  end
  local limit
  if bounded then want, limit = rare().bound(want) end
  if want > 0 then jobs = claim() end
  if limit then
    closed = rare().closed_until(limit, #jobs / 2)
  end
  if not looks and #jobs < 2 * asked then
    looks, due, expiry = true, first_score(DELAYED), first_score(LEASES)
  end
  if #jobs > 0 then expiry = math.min(expiry or math.huge, now + lease) end
end
flush_running()
if watched then rare().flush_events() end

-- The marker is there while work is, so that workers wake one another one by one. A
-- worker that took all it could may be busy when the next job is due: another must know.
local more = call('EXISTS', RING)
local parked = bounded and first_score(PARKED)
local soonest = math.min(due or math.huge, parked or math.huge, closed or math.huge)
if more == 1 and not closed then
  if call('EXISTS', WAKE) == 0 then call('LPUSH', WAKE, '1') end
elseif asked > 0 then
  if #jobs == 2 * asked and (not looks or soonest < now + 5000) then
    if call('EXISTS', WAKE) == 0 then call('LPUSH', WAKE, '1') end
  else
    call('DEL', WAKE)
  end
end
if closed then more = 0 end
soonest = looks and math.min(soonest, expiry or math.huge) or math.huge
return { letters, more, soonest == math.huge and -1 or math.max(0, soonest - now), lost, jobs }
