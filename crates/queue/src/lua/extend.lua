-- Extends the leases of N running jobs. O(log n) per job.
-- ARGV: 4 lease ms, 5.. key, nonce, fence
-- Answers one letter per job: E extended, C extended and to be cancelled, X no longer ours.
local lease = tonumber(ARGV[4])
local keys, letters, leases = {}, {}, {}
for at = 5, #ARGV, 3 do keys[#keys + 1] = ARGV[at] end
local records = call('HMGET', JOBS, unpack(keys))
for i, key in ipairs(keys) do
  local letter = 'X'
  if records[i] then
    local state, flags = unpack_bytes('<BB', records[i])
    local nonce = unpack_bytes('c8', records[i], 12)
    local fence = state == ACTIVE and unpack_bytes('<I7', records[i], held_at(records[i]))
    if nonce == ARGV[3 * i + 3] and fence == tonumber(ARGV[3 * i + 4]) then
      letter = band(flags, CANCEL) ~= 0 and 'C' or 'E'
      leases[#leases + 1], leases[#leases + 2] = now + lease, key
    end
  end
  letters[i] = letter
end
if #leases > 0 then call('ZADD', LEASES, unpack(leases)) end
return table.concat(letters)
