-- Pushes N jobs. O(log n) per job; a chunk of new jobs takes one call per set and tenant.
-- ARGV[4..]: key, deadline, draft. A draft is 'S' | 'N' | 'A', the time of 'A' (6), and the
-- record without what comes before the nonce, but with the flags: `1` | NOT_BEFORE.
-- Answers: per job a letter, N new, M merged, S shared, A again; then the nonces of all that
-- are not new, in order.
local keys, found = {}, {}
for i = 4, #ARGV, 3 do keys[#keys + 1] = ARGV[i] end
local records = call('HMGET', JOBS, unpack(keys))

local waiting, delayed, delayed_of = {}, {}, {}

-- Pending new jobs enter their sets. O(log n) per job.
local function flush_new()
  local tenants = {}
  for tenant, list in pairs(waiting) do
    call('ZADD', P .. 'w:' .. tenant, unpack(list))
    tenants[#tenants + 1] = tenant
  end
  if #tenants > 0 then
    join_ring(tenants)
    arm()
  end
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
    lists[tenant] = { score, member }
    return
  end
  local n = #list
  list[n + 1], list[n + 2] = score, member
end

local NEW = pack('BBBB', WAITING, 0, 0, 0)

-- The whole record of a draft.
local function record(seq, draft)
  return pack('BBBB', WAITING, byte(draft, 8), 0, 0) .. seq .. sub(draft, 9)
end

local function push_new(i, key, deadline, draft)
  local seq, when = new_seq(i), byte(draft)
  local tenant = sub(draft, 34, 33 + byte(draft, 30))
  local rec
  if when ~= 65 and byte(draft, 8) == 0 then
    add(waiting, tenant, deadline, seq .. key)
    rec = NEW .. seq .. sub(draft, 9)
  else
    local j = read(record(seq, draft))
    j.run_at = math.max(when == 65 and unpack_bytes('<I6', draft, 2) or now, j.not_before)
    if j.run_at > now then
      j.state = QUEUED_LATER
      add(delayed_of, tenant, whole(j.run_at), key)
      delayed[#delayed + 1] = whole(j.run_at)
      delayed[#delayed + 1] = key
    else
      add(waiting, tenant, deadline, seq .. key)
    end
    rec = write(j)
  end
  local n = #stored
  stored[n + 1], stored[n + 2] = key, rec
  found[key] = rec
  if watched then note('n', tenant, key, sub(draft, 9, 16)) end
end

-- A queued job takes the push over.
local function merge(key, j, n, when, at)
  local deadline, not_before = math.min(j.deadline, n.deadline), math.max(j.not_before, n.not_before)
  local run_at = j.run_at
  if when == 'N' then run_at = math.min(run_at, now) elseif when == 'A' then run_at = math.min(run_at, at) end
  run_at = math.max(run_at, not_before)
  local same_place = deadline == j.deadline and run_at == j.run_at
  if same_place and not_before == j.not_before and n.version <= j.version then return 'M', j.nonce end
  if not same_place then unplace(key, j) end
  if n.version > j.version then j.version, j.payload = n.version, n.payload end
  j.deadline, j.not_before, j.run_at = deadline, not_before, run_at
  if not same_place then place(key, j) end
  store(key, j)
  return 'M', j.nonce
end

-- A nonce that the pusher did not choose, in the same alphabet.
local function other_nonce(i, key)
  local digits = sub(redis.sha1hex(key .. now_us .. i), 1, 8)
  return (string.gsub(digits, '%d', function(digit) return string.char(103 + digit) end))
end

-- A running job is marked, unless its own end will do. Who pushes anew under the id of the
-- running job gets another one, for one id is not two jobs.
local function mark(i, key, j, n, when, at)
  if n.version <= j.version then return 'S', j.nonce end
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
  return 'A', m.nonce
end

-- The key is taken, perhaps by one that this very call has pushed.
local function push_onto(i, key, draft, old)
  flush_new()
  local j, n = read(old), read(record(new_seq(i), draft))
  local when, at = sub(draft, 1, 1), unpack_bytes('<I6', draft, 2)
  local letter, nonce
  if j.state == ACTIVE then
    letter, nonce = mark(i, key, j, n, when, at)
  else
    letter, nonce = merge(key, j, n, when, at)
  end
  flush_jobs()
  found[key] = write(j)
  return letter, nonce
end

local letters, answer = {}, { '' }
for i, key in ipairs(keys) do
  local deadline, draft = ARGV[3 * i + 2], ARGV[3 * i + 3]
  local old = found[key] or records[i]
  if old then
    local letter, nonce = push_onto(i, key, draft, old)
    letters[i] = letter
    answer[#answer + 1] = nonce
  else
    push_new(i, key, deadline, draft)
    letters[i] = 'N'
  end
end
flush_new()
flush_events()
answer[1] = table.concat(letters)
return answer
