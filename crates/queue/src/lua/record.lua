-- The packed record of a job, and what is done to records.

-- The record; record.rs has the same table. Times are ms, the seq is us and big
-- endian, so that it sorts as bytes. Most records are of jobs that simply wait, so
-- what these do not need is not in them: when to run, if that is when they were
-- pushed; not before when; and HELD, which running and ended jobs have.
-- A job that is done without more ado is kept as it ran, and when that was, in 6 bytes more.
local FORMAT = '<BBBBc7c8BI6I6BBH'
local HELD = '<I7c6I6I6'
local MARK = '<c8c7I6I6I6I6BB'

local function created(seq)
  return math.floor(unpack_bytes('>I7', seq) / 1000)
end

-- Where HELD begins.
local function held_at(rec)
  local flags = byte(rec, 2)
  local tenant, why, payload = unpack_bytes('<BBH', rec, 33)
  local at = 37 + tenant + why + payload
  if band(flags, RUN_AT) ~= 0 then at = at + 6 end
  if band(flags, NOT_BEFORE) ~= 0 then at = at + 6 end
  return at
end

local function read(rec)
  local j = { fence = 0, owner = NOBODY, started = 0, finished = 0, not_before = 0 }
  local tenant, why, payload, at
  j.state, j.flags, j.crashes, j.attempt, j.seq, j.nonce, j.max, j.deadline, j.version, tenant, why, payload, at =
    unpack_bytes(FORMAT, rec)
  j.tenant = sub(rec, at, at + tenant - 1)
  at = at + tenant
  j.why = sub(rec, at, at + why - 1)
  at = at + why
  j.payload = sub(rec, at, at + payload - 1)
  at = at + payload
  if band(j.flags, RUN_AT) ~= 0 then
    j.run_at, at = unpack_bytes('<I6', rec, at)
  else
    j.run_at = created(j.seq)
  end
  if band(j.flags, NOT_BEFORE) ~= 0 then j.not_before, at = unpack_bytes('<I6', rec, at) end
  if j.state >= ACTIVE then
    j.fence, j.owner, j.started, j.finished, at = unpack_bytes(HELD, rec, at)
    if j.state == ACTIVE and at + 5 == #rec and band(j.flags, AGAIN + SERVED) == 0 then
      j.state, j.finished = COMPLETED, unpack_bytes('<I6', rec, at)
    end
  end
  if band(j.flags, AGAIN) ~= 0 then
    local m = {}
    m.nonce, m.seq, m.version, m.run_at, m.not_before, m.deadline, m.max, m.now, at = unpack_bytes(MARK, rec, at)
    m.payload = sub(rec, at)
    j.again = m
  elseif band(j.flags, SERVED) ~= 0 then
    j.served = sub(rec, at, at + 7)
  end
  return j
end

local function write(j)
  local tail = ''
  local flags = band(j.flags, CANCEL + WATCHED + PURGED)
  if j.run_at ~= created(j.seq) then
    flags = flags + RUN_AT
    tail = pack('<I6', j.run_at)
  end
  if j.not_before ~= 0 then
    flags = flags + NOT_BEFORE
    tail = tail .. pack('<I6', j.not_before)
  end
  if j.state >= ACTIVE then tail = tail .. pack(HELD, j.fence, j.owner, j.started, j.finished) end
  if j.again then
    local m = j.again
    flags = flags + AGAIN
    tail = tail .. pack(MARK, m.nonce, m.seq, m.version, m.run_at, m.not_before, m.deadline, m.max, m.now)
      .. m.payload
  elseif j.served then
    flags = flags + SERVED
    tail = tail .. j.served
  end
  return pack(FORMAT, j.state, flags, math.min(j.crashes, 255), math.min(j.attempt, 255), j.seq, j.nonce, j.max,
    j.deadline, j.version, #j.tenant, #j.why, #j.payload) .. j.tenant .. j.why .. j.payload .. tail
end

local function new_seq(i)
  return pack('>I7', now_us + i)
end

-- Changes the record of a live job, at the next flush.
local function store(key, j)
  stored[#stored + 1] = key
  stored[#stored + 1] = write(j)
end

-- O(changed), two calls.
local function flush_jobs()
  if #stored > 0 then call('HSET', JOBS, unpack(stored)) end
  if #gone > 0 then call('HDEL', JOBS, unpack(gone)) end
  stored, gone = {}, {}
end

local function note(letter, tenant, key, nonce)
  if watched then happened[#happened + 1] = letter .. tenant .. ' ' .. key .. '-' .. nonce end
end

-- O(happened), one call.
local function flush_events()
  if #happened > 0 then
    call('XADD', EVENTS, 'MAXLEN', '~', ARGV[3], '*', 'e', table.concat(happened, '\n'))
    happened = {}
  end
end
