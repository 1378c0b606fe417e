-- Pushes N jobs. O(log n) per job; a chunk of new jobs takes one call per set.
-- ARGV[3..]: key, tenant, 'S' | 'N' | 'A', time of 'A', record. The record is complete but
-- for its seq and when to run.
-- Answers per job: 'N' new, or 'M' merged, 'S' shared, 'A' again, each with the nonce.
local keys, found = {}, {}
for i = 3, #ARGV, 5 do keys[#keys + 1] = ARGV[i] end
local records = call('HMGET', JOBS, unpack(keys))

local waiting, delayed, delayed_of = {}, {}, {}

-- Pending new jobs enter their sets. O(log n) per job.
local function flush_new()
  for tenant, list in pairs(waiting) do
    call('ZADD', P .. 'w:' .. tenant, unpack(list))
    join_ring(tenant)
  end
  if next(waiting) then arm() end
  if #delayed > 0 then
    call('ZADD', DELAYED, unpack(delayed))
    for tenant, list in pairs(delayed_of) do call('ZADD', P .. 'd:' .. tenant, unpack(list)) end
    local first = call('ZRANGE', DELAYED, 0, 0)[1]
    for i = 2, #delayed, 2 do
      if delayed[i] == first then arm() end
    end
  end
  waiting, delayed, delayed_of = {}, {}, {}
  flush_jobs()
end

local function add(lists, tenant, score, member)
  local list = lists[tenant]
  if not list then
    list = {}
    lists[tenant] = list
  end
  list[#list + 1] = score
  list[#list + 1] = member
end

local function push_new(i, key, tenant, when, at, rec)
  local seq = new_seq(i)
  if when ~= 'A' and band(unpack_bytes('B', rec, 2), NOT_BEFORE) == 0 then
    add(waiting, tenant, unpack_bytes('<I6', rec, 21), seq .. key)
    rec = pack('<BBBBc7', WAITING, 0, 0, 0, seq) .. sub(rec, 12)
  else
    local j = read(rec)
    j.seq, j.run_at = seq, math.max(when == 'A' and at or now, j.not_before)
    if j.run_at > now then
      j.state = QUEUED_LATER
      delayed[#delayed + 1] = j.run_at
      delayed[#delayed + 1] = key
      add(delayed_of, tenant, j.run_at, key)
    else
      add(waiting, tenant, j.deadline, seq .. key)
    end
    rec = write(j)
  end
  stored[#stored + 1] = key
  stored[#stored + 1] = rec
  found[key] = rec
  return 'N'
end

-- A queued job takes the push over.
local function merge(key, j, n, when, at)
  local deadline, not_before = math.min(j.deadline, n.deadline), math.max(j.not_before, n.not_before)
  local run_at = j.run_at
  if when == 'N' then run_at = math.min(run_at, now) elseif when == 'A' then run_at = math.min(run_at, at) end
  run_at = math.max(run_at, not_before)
  local same_place = deadline == j.deadline and run_at == j.run_at
  if same_place and not_before == j.not_before and n.version <= j.version then return 'M' .. j.nonce end
  if not same_place then unplace(key, j) end
  if n.version > j.version then j.version, j.payload = n.version, n.payload end
  j.deadline, j.not_before, j.run_at = deadline, not_before, run_at
  if not same_place then place(key, j) end
  store(key, j)
  return 'M' .. j.nonce
end

-- A nonce that the pusher did not choose, in the same alphabet.
local function other_nonce(i, key)
  local digits = sub(redis.sha1hex(key .. now_us .. i), 1, 8)
  return (string.gsub(digits, '%d', function(digit) return string.char(103 + digit) end))
end

-- A running job is marked, unless its own end will do. Who pushes anew under the id of the
-- running job gets another one, for one id is not two jobs.
local function mark(i, key, j, n, when, at)
  if n.version <= j.version then return 'S' .. j.nonce end
  local m = j.again
  local run_at = when == 'A' and at or now
  if m then
    if n.version > m.version then m.version, m.payload = n.version, n.payload end
    m.deadline = math.min(m.deadline, n.deadline)
    m.not_before = math.max(m.not_before, n.not_before)
    m.run_at = math.min(m.run_at, run_at)
    if when == 'N' then m.now = 1 end
  else
    local nonce = n.nonce ~= j.nonce and n.nonce or other_nonce(i, key)
    m = { nonce = nonce, seq = new_seq(i), version = n.version, run_at = run_at, not_before = n.not_before,
      deadline = n.deadline, max = n.max, now = when == 'N' and 1 or 0, payload = n.payload }
    j.again = m
  end
  store(key, j)
  return 'A' .. m.nonce
end

local answers = {}
for i = 1, #keys do
  local at = 5 * i - 2
  local key, tenant, when, time, rec = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3]), ARGV[at + 4]
  local old = found[key] or records[i]
  if not old then
    answers[i] = push_new(i, key, tenant, when, time, rec)
  else
    -- The key may be among those that this call has pushed.
    flush_new()
    local j, n = read(old), read(rec)
    if j.state == ACTIVE then
      answers[i] = mark(i, key, j, n, when, time)
    else
      answers[i] = merge(key, j, n, when, time)
    end
    flush_jobs()
    found[key] = write(j)
  end
end
flush_new()
return answers
