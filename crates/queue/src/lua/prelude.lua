-- Every script begins with this: keys, the clock, the packed record.
--
-- KEYS, all under one hash tag {prefix:queue}:
--   jobs     HASH  key -> record of a live job; the key is the unique key
--   ring     ZSET  tenants that have waiting jobs, by virtual time
--   delayed  ZSET  keys of delayed jobs, by the time they are due
--   leases   ZSET  keys of running jobs, by the end of their lease
--   wake     LIST  at most one marker; idle workers block on it
--   ok, ko   HASH  key-nonce -> record of a retained job that ended well / otherwise
--   aged     ZSET  tenants that have retained jobs, by the end of the oldest (or earlier)
--   vt       STR   virtual time of the ring; absent while the ring is empty
-- Keys per tenant are derived from the prefix ARGV[1], in the same slot:
--   w:<tenant>  ZSET  seq..key of waiting jobs, by deadline; seq makes equal deadlines FIFO
--   d:<tenant>  ZSET  keys of delayed jobs, by the time they are due
--   a:<tenant>  ZSET  keys of running jobs, by the start
--   c:<tenant>, f:<tenant>  ZSET  key-nonce of retained jobs, by their end
-- ARGV[2] is added to the clock, in ms; 0 but in tests.
local JOBS, RING, DELAYED, LEASES, WAKE, OK, KO, AGED, VT = unpack(KEYS)
local P = ARGV[1]
local call, sub = redis.call, string.sub
local pack, unpack_bytes = struct.pack, struct.unpack
local band, bor = bit.band, bit.bor

local clock = call('TIME')
local now_us = clock[1] * 1000000 + clock[2] + ARGV[2] * 1000
local now = math.floor(now_us / 1000)

local WAITING, QUEUED_LATER, ACTIVE, COMPLETED, FAILED, CANCELLED = 1, 2, 3, 4, 5, 6
local CANCEL, WATCHED, PURGED, AGAIN, SERVED = 1, 2, 4, 8, 16

-- The record; record.rs has the same table. Times are ms, the seq is us and big
-- endian, so that it sorts as bytes. What a claim changes stands in front.
local FORMAT = '<BBBHI7c6I6I6I6c7' .. 'c8HI6I7I6BHH'
local MARK = '<c8c7I7I6I6I6HB'
local NOBODY = string.rep('\0', 6)

local function read(rec)
  local j = {}
  local tenant, why, payload, at
  j.state, j.flags, j.crashes, j.attempt, j.fence, j.owner, j.started, j.run_at, j.not_before, j.seq,
    j.nonce, j.max, j.deadline, j.version, j.finished, tenant, why, payload, at = unpack_bytes(FORMAT, rec)
  j.tenant = sub(rec, at, at + tenant - 1)
  at = at + tenant
  j.why = sub(rec, at, at + why - 1)
  at = at + why
  j.payload = sub(rec, at, at + payload - 1)
  at = at + payload
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
  if j.again then
    local m = j.again
    flags = flags + AGAIN
    tail = pack(MARK, m.nonce, m.seq, m.version, m.run_at, m.not_before, m.deadline, m.max, m.now) .. m.payload
  elseif j.served then
    flags = flags + SERVED
    tail = j.served
  end
  return pack(FORMAT, j.state, flags, math.min(j.crashes, 255), math.min(j.attempt, 65535), j.fence, j.owner,
    j.started, j.run_at, j.not_before, j.seq, j.nonce, j.max, j.deadline, j.version, j.finished,
    #j.tenant, #j.why, #j.payload) .. j.tenant .. j.why .. j.payload .. tail
end

local function new_seq(i)
  return pack('>I7', now_us + i)
end

-- A record of live jobs is changed at the end of a script, or before it reads again.
local stored, gone = {}, {}

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
