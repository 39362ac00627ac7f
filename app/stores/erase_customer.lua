#!lua flags=allow-oom
-- Erases a customer: what he did up to now, and what of it may still come.
--
-- KEYS  window, profile, recent, tombstones' prefix, erasures
-- ARGV  1 a secret, for a partition that has none, 2 TTL of a tombstone in s, 3 customer id
-- Returns the clock in µs, the number of events of the window, of profiles, and of further
-- remembered events.
local window, profile, recent, erased, erasures = unpack(KEYS)
local time = redis.call('TIME')
local now_text = string.format('%.0f', time[1] * 1000000 + time[2])

redis.call('SETNX', erased .. 'secret', ARGV[1])
redis.call('SET', tombstone_of(erased, window), now_text, 'EX', ARGV[2])
redis.call('XADD', erasures, '*', 'c', ARGV[3], 'r', now_text)
local n_events, n_remembered = redis.call('ZCARD', window), redis.call('ZCARD', recent)
local n_profiles = redis.call('DEL', profile)
redis.call('DEL', window, recent)
return {tonumber(now_text), n_events, n_profiles, n_remembered}
