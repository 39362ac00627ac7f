#!lua flags=no-writes
-- Reads a customer and the clock in one round trip.
--
-- KEYS  window, profile
-- Returns the clock in µs, the packed window, the packed profile.
local time = redis.call('TIME')
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
return {time[1] * 1000000 + time[2], table.concat(members), redis.call('GET', KEYS[2]) or ''}
