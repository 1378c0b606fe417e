-- Looks at one job, and lets its end be published. O(1).
-- ARGV: 4 key, 5 nonce
-- Answers: L and the record of a live one, E and that of a retained one, N if there is none.
local key, nonce = ARGV[4], ARGV[5]
local rec = call('HGET', JOBS, key)
local j = rec and read(rec)
if j and (j.nonce == nonce or (j.again and j.again.nonce == nonce)) then
  if band(j.flags, WATCHED) == 0 then
    j.flags = bor(j.flags, WATCHED)
    rec = write(j)
    call('HSET', JOBS, key, rec)
  end
  return { 'L', rec }
end
local id = key .. '-' .. nonce
local ok, ko = call('HGET', OK, id), call('HGET', KO, id)
-- An id that a pusher chose twice may have ended twice.
if ok and ko and read(ko).finished > read(ok).finished then ok = ko end
if ok or ko then return { 'E', ok or ko } end
return { 'N' }
