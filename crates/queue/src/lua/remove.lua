-- Removes one job without a trace, live or retained. O(log n + kept).
-- ARGV: 4 key, 5 nonce
-- Answers: R removed, S it runs and was told, U unknown.
local key, nonce = ARGV[4], ARGV[5]
local rec = call('HGET', JOBS, key)
local j = rec and read(rec)
if j and j.nonce == nonce then
  if j.state == ACTIVE then
    j.flags, j.again = bor(j.flags, CANCEL + PURGED), nil
    store(key, j)
    flush_jobs()
    call('PUBLISH', P .. 'cancel', key .. '-' .. nonce)
    return { 'S' }
  end
  unplace(key, j)
  gone[1] = key
  note('g', j.tenant, key, nonce)
  flush_jobs()
  flush_events()
  tidy()
  return { 'R' }
end

local id, removed = key .. '-' .. nonce, false
for _, class in ipairs({ { OK, 'c:' }, { KO, 'f:' } }) do
  local ended = call('HGET', class[1], id)
  if ended then
    call('LREM', P .. class[2] .. read(ended).tenant, 0, id)
    call('HDEL', class[1], id)
    removed = true
  end
end
return { removed and 'R' or 'U' }
