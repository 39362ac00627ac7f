#!lua
-- Keeps a customer's list, unless it was made before an erasure of the customer.
--
-- KEYS  list, window, tombstones' prefix
-- ARGV  1 packed list, 2 when it was made in µs, 3 TTL in s
-- Returns 1 for a list that is kept, else 0.
local listed, window, erased = unpack(KEYS)
if tonumber(ARGV[2]) <= erased_until(erased, window) then return 0 end
redis.call('SET', listed, ARGV[1], 'EX', ARGV[3])
return 1
