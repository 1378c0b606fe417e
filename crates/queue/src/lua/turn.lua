-- One turn of a worker: settles N jobs, takes over lost ones, moves due ones, claims M.
-- O(log n) per job; the calls are per tenant and batch, not per job.
-- ARGV: 4 want (0..500), 5 lease ms, 6 owner, 7 keep_ok, 8 keep_ko, 9 poison_after,
--       10 whether to look for what is due (1) or leave that to a later turn (0),
--       11 how many settles have a line of their own, and these:
--       op (1), fence (7), nonce (8), version (6), ms (6), length of why (1), why, key;
--       then those that are done at the version they were claimed at, by claim and tenant:
--       fence (7), tenant, how many, and their key-nonces
-- ops: D done, F failed, C cancelled, R retry in ms, r the same and nobody may come earlier,
--      S snooze until ms, s the same and nobody may come earlier, L give back
-- Answers: one letter per settle (its op; C if a cancellation came first; X if the job is
-- no longer ours), 1 if more is waiting, ms until something is due, a lease ends, or a limit
-- allows more (-1: never, or not asked for), lost jobs to be ended by the caller (key, record, ...), claimed
-- ones (key, record, ...).
local want, lease, owner = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local keep_ok, keep_ko, poison_after = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local lease_end = whole(now + lease)

-- Keys of ours that no longer run; tenants that leave the ring.
local ours, leaving = {}, {}
