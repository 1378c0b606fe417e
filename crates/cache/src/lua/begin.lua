-- Takes a key for a request, or tells what is known of it.
-- KEYS[1]  HASH of f: fingerprint of the request, n: who works on it, a: its answer, once there is one
-- ARGV     fingerprint, nonce, ms after which an unanswered request is forgotten
-- Returns  nothing if the key was free, else fingerprint and answer or nil
-- Cost     O(1)
local known = redis.call('HMGET', KEYS[1], 'f', 'a')
if known[1] then
  return known
end
redis.call('HSET', KEYS[1], 'f', ARGV[1], 'n', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {}
