-- Writes the answer of a request down, or forgets the request; nothing if it is not ours any more.
-- KEYS[1]  as begin.lua
-- ARGV     nonce, answer, ms for which it is kept; without an answer: the nonce alone
-- Cost     O(1)
if redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then
  return 0
end
if not ARGV[2] then
  return redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'a', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
