#!lua
-- Appends a record to its stream, and counts the records that are dropped for it.
--
-- KEYS  exposures, counters' prefix
-- ARGV  1 stream bytes, 2 packed record
local exposures, counters = KEYS[1], KEYS[2]
add_entry(exposures, 'exposures', counters, #ARGV[2], 'x', ARGV[2])
drop_oldest(exposures, 'exposures', counters, ARGV[1])
