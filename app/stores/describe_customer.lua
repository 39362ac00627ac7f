#!lua flags=no-writes
-- Returns all that is kept of a customer, see RedisCustomerStore.
--
-- KEYS  window, profile, recent
-- Returns the clock in µs, the packed window, the packed profile, when the later of both
-- expires in ms since the epoch, negative if nothing will, and the number of further
-- remembered events.
local window, profile, recent = unpack(KEYS)
local time = redis.call('TIME')
return {
  time[1] * 1000000 + time[2],
  table.concat(redis.call('ZRANGE', window, 0, -1)),
  redis.call('GET', profile) or '',
  math.max(redis.call('PEXPIRETIME', window), redis.call('PEXPIRETIME', profile)),
  redis.call('ZCARD', recent)
}
