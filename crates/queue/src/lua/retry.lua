-- Runs a failed job again, under its own id. O(log n).
-- ARGV: 4 key, 5 nonce
-- Answers: Q queued, M and the nonce of the live job that does it, N and the record if it has not failed, U unknown.
local key, nonce = ARGV[4], ARGV[5]
local id = key .. '-' .. nonce
local live = call('HGET', JOBS, key)
local l = live and read(live)
if l and (l.nonce == nonce or (l.again and l.again.nonce == nonce)) then return { 'N', live } end

local rec = call('HGET', KO, id) or call('HGET', OK, id)
if not rec then return { 'U' } end
local j = read(rec)
if j.state ~= FAILED then return { 'N', rec } end

if l then
  if l.state == QUEUED_LATER then
    unplace(key, l)
    l.run_at = math.max(now, l.not_before)
    place(key, l)
    store(key, l)
    flush_jobs()
    flush_events()
  end
  return { 'M', l.nonce }
end

call('HDEL', KO, id)
call('LREM', P .. 'f:' .. j.tenant, 0, id)
j.attempt, j.crashes, j.finished, j.started, j.why, j.served = 0, 0, 0, 0, '', nil
j.run_at = math.max(now, j.not_before)
place(key, j)
store(key, j)
flush_jobs()
flush_events()
return { 'Q' }
