-- Running jobs of one owner, for a worker whose claim was not answered. O(500) per page.
-- ARGV: 4 owner, 5 rank of the first lease to look at
-- Answers: leases looked at, then key, record, ...
local keys = call('ZRANGE', LEASES, ARGV[5], ARGV[5] + 499)
if #keys == 0 then return { 0 } end
local records, answer = call('HMGET', JOBS, unpack(keys)), { #keys }
for i, key in ipairs(keys) do
  if records[i] then
    local rec = records[i]
    if unpack_bytes('B', rec) == ACTIVE and sub(rec, held_at(rec) + 7, held_at(rec) + 12) == ARGV[4] then
      answer[#answer + 1], answer[#answer + 2] = key, records[i]
    end
  end
end
return answer
