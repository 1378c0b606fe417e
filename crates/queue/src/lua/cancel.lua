-- Cancels one job. O(log n).
-- ARGV: 4 key, 5 nonce, 6 keep_ok, 7 keep_ko
-- Answers: R and the record as it ended, S if it runs and was told, E if it had ended, U if unknown.
local key, nonce = ARGV[4], ARGV[5]
local rec = call('HGET', JOBS, key)
local j = rec and read(rec)
local answer

if j and j.nonce == nonce then
  if j.state == ACTIVE then
    j.flags = bor(j.flags, CANCEL)
    store(key, j)
    call('PUBLISH', P .. 'cancel', key .. '-' .. nonce)
    answer = { 'S' }
  else
    unplace(key, j)
    end_job(key, j, CANCELLED, '', -1)
    answer = { 'R', write(j) }
  end
elseif j and j.again and j.again.nonce == nonce then
  local marked = from_mark(j)
  marked.state, marked.finished, marked.flags = CANCELLED, now, band(j.flags, WATCHED)
  tell(key, marked)
  j.again = nil
  store(key, j)
  answer = { 'R', write(marked) }
else
  local id = key .. '-' .. nonce
  local ended = call('HEXISTS', OK, id) == 1 or call('HEXISTS', KO, id) == 1
  answer = { ended and 'E' or 'U' }
end
flush_jobs()
tidy()
flush_ended(tonumber(ARGV[6]), tonumber(ARGV[7]))
flush_events()
return answer
