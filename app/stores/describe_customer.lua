#!lua flags=no-writes
-- Reads all that is stored of a customer, see customer.py.
--
-- KEYS  window, shown, profile, recent, list, merges
-- Returns the clock in µs, the packed events, key and stamp (13 digits) of each sale
-- shown, the packed profile, the number of damaged events and sales shown, when the last of them
-- expires in ms since the epoch, negative if nothing will, the number of recent event keys, the
-- packed list, and the fields of the merges.
local window, shown, profile, recent, listed, merges = unpack(KEYS)
local time = redis.call('TIME')
local expires_ms = -1
for _, key in ipairs({window, shown, profile, listed, merges}) do
  expires_ms = math.max(expires_ms, redis.call('PEXPIRETIME', key))
end
local events, n_events = joined(redis.call('ZRANGE', window, 0, -1), {24})
local sales, n_sales = joined(redis.call('ZRANGE', shown, 0, -1, 'WITHSCORES'), {8, 13})
return {
  time[1] * 1000000 + time[2],
  events,
  sales,
  redis.call('GET', profile) or '',
  n_events + n_sales,
  expires_ms,
  n_recent_keys(recent_key_sets(recent, math.floor(time[1] / 86400))),
  redis.call('GET', listed) or '',
  redis.call('HGETALL', merges)
}
