#!lua
-- Appends an answer to its stream, and counts what that pushed out.
--
-- KEYS  exposures, counters' prefix
-- ARGV  1 stream bytes, 2 packed record
local exposures, counters = KEYS[1], KEYS[2]
add_entry(exposures, 'exposures', counters, #ARGV[2], 'x', ARGV[2])
drop_oldest(exposures, 'exposures', counters, ARGV[1])
