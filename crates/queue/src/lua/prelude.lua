-- Every script begins with this: keys, the clock, what is to be written.
--
-- KEYS, all under one hash tag {prefix:queue}:
--   jobs     HASH    key -> record of a live job; the key is the unique key
--   ring     ZSET    tenants that have waiting jobs, by virtual time; the first is the present
--   delayed  ZSET    keys of delayed jobs, by the time they are due
--   leases   ZSET    keys of running jobs, by the end of their lease
--   wake     LIST    at most one marker; idle workers block on it
--   ok, ko   HASH    key-nonce -> record of a retained job that ended well / otherwise
--   aged     ZSET    tenants that have retained jobs, by the end of the oldest (or earlier)
--   active   HASH    tenant -> how many of its jobs run; no entry for none
--   limits   HASH    tenant, or '' for the queue -> pause, weight, concurrency, rate; see limits.lua
--   rates    HASH    tenant, or '' -> when its rate is used up to (GCRA), in us
--   parked   ZSET    tenants that have waiting jobs and may not run them, by when to look again
--   events   STREAM  what happens, one entry per call; there while somebody watches, and trimmed
-- Keys per tenant are derived from the prefix ARGV[1], in the same slot:
--   w:<tenant>  ZSET  seq..key of waiting jobs, by deadline; seq makes equal deadlines FIFO
--   d:<tenant>  ZSET  keys of delayed jobs, by the time they are due
--   c:<tenant>, f:<tenant>  LIST  key-nonce of retained jobs, the last that ended first
-- ARGV[2] is added to the clock, in ms; 0 but in tests. ARGV[3] is how many entries of
-- events are kept; 0 writes none.
-- A function costs as much as a small call of Redis whenever a script runs, used or not: there
-- is hardly one here, and the busiest script makes most of its own when it needs them.
local JOBS, RING, DELAYED, LEASES, WAKE, OK, KO, AGED, RUNNING, LIMITS, RATES, PARKED, EVENTS = unpack(KEYS)
local P = ARGV[1]
local call, sub, byte = redis.call, string.sub, string.byte
local pack, unpack_bytes = struct.pack, struct.unpack
local band, bor = bit.band, bit.bor

-- Numbers become text with 17 digits, which is slow; whole ones need none of that.
local function whole(number)
  return string.format('%d', number)
end

local clock = call('TIME')
local now_us = clock[1] * 1000000 + clock[2] + ARGV[2] * 1000
local now = math.floor(now_us / 1000)

local WAITING, QUEUED_LATER, ACTIVE, COMPLETED, FAILED, CANCELLED = 1, 2, 3, 4, 5, 6
local CANCEL, WATCHED, PURGED, AGAIN, SERVED, RUN_AT, NOT_BEFORE = 1, 2, 4, 8, 16, 32, 64

local NOBODY = string.rep('\0', 6)

-- What is changed at the end of a script, or before it reads again: records of live jobs
-- (key, record, ...) and keys of ended ones; how many more or fewer jobs of a tenant run.
local stored, gone, moved = {}, {}, {}

-- Whether anybody is limited or parked, and whether somebody watches. Mostly nobody is and
-- nobody does: then nothing more is asked.
local bounded, watched = call('EXISTS', LIMITS, PARKED, EVENTS) > 0, false
if bounded then
  watched = ARGV[3] ~= '0' and call('EXISTS', EVENTS) == 1
  bounded = call('EXISTS', LIMITS, PARKED) > 0
end

-- What happened, if somebody watches: a letter, tenant, key-nonce. Letters: n new, w waits
-- again, l delayed, a runs, d completed, f failed, c cancelled, g gone.
local happened = {}
