#!lua flags=no-writes
-- Reads a customer and the clock in one round trip.
--
-- KEYS  window, shown, profile, list, merges
-- Returns the clock in µs, the packed events, key and stamp (13 digits) of each sale
-- shown, the packed profile, the number of damaged events and sales shown, the packed list, and the
-- fields of the merges.
local window, shown, profile, listed, merges = unpack(KEYS)
local time = redis.call('TIME')
local events, n_events = joined(redis.call('ZRANGE', window, 0, -1), {24})
local sales, n_sales = joined(redis.call('ZRANGE', shown, 0, -1, 'WITHSCORES'), {8, 13})
return {
  time[1] * 1000000 + time[2],
  events,
  sales,
  redis.call('GET', profile) or '',
  n_events + n_sales,
  redis.call('GET', listed) or '',
  redis.call('HGETALL', merges)
}
