#!lua flags=no-writes
-- Reads a customer and the clock in one round trip.
--
-- KEYS  window, shown, profile
-- Returns the clock in µs, the packed events, key and stamp (13 digits) of each sale
-- shown, the packed profile.
local window, shown, profile = unpack(KEYS)
local time = redis.call('TIME')
return {
  time[1] * 1000000 + time[2],
  table.concat(redis.call('ZRANGE', window, 0, -1)),
  table.concat(redis.call('ZRANGE', shown, 0, -1, 'WITHSCORES')),
  redis.call('GET', profile) or ''
}
