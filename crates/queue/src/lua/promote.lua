-- Moves a delayed job to now, or to its not_before. O(log n).
-- ARGV: 4 key, 5 nonce
-- Answers: P and the record of one that was moved, N and that of one that need not be, U if unknown.
local key, nonce = ARGV[4], ARGV[5]
local rec = call('HGET', JOBS, key)
local j = rec and read(rec)
if not j or j.nonce ~= nonce then return { 'U' } end
local run_at = math.max(now, j.not_before)
if j.state ~= QUEUED_LATER or j.run_at <= run_at then return { 'N', rec } end
unplace(key, j)
j.run_at = run_at
place(key, j)
store(key, j)
local moved_record = stored[2]
flush_jobs()
flush_events()
return { 'P', moved_record }
