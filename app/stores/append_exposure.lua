#!lua
-- Appends an answer to its stream, and counts what that pushed out.
--
-- KEYS  exposures, counters' prefix
-- ARGV  1 stream entries, 2 JSON
local exposures, counters = KEYS[1], KEYS[2]
local n_before = redis.call('XLEN', exposures)
redis.call('XADD', exposures, 'MAXLEN', '~', ARGV[1], '*', 'x', ARGV[2])
local n_lost = n_before + 1 - redis.call('XLEN', exposures)
if n_lost > 0 then redis.call('HINCRBY', counters .. 'lost', 'exposures', n_lost) end
