#!lua flags=allow-oom
-- Erases a customer: all events up to now, and those of them that still come. Allowed without
-- memory, because an erasure is owed also while the store is full.
--
-- KEYS  window, shown, profile, recent, tombstones' prefix, erasures, list
-- ARGV  1 a secret, for a partition that has none, 2 TTL of a tombstone in s, 3 customer id
-- Returns the clock in µs, the number of events of the window, of sales shown, of profiles,
-- and of recent event keys.
local window, shown, profile, recent, erased, erasures, listed = unpack(KEYS)
local time = redis.call('TIME')
local now_text = string.format('%.0f', time[1] * 1000000 + time[2])

redis.call('SETNX', erased .. 'secret', ARGV[1])
redis.call('SET', tombstone_of(erased, window), now_text, 'EX', ARGV[2])
redis.call('XADD', erasures, '*', 'c', ARGV[3], 'r', now_text)
local n_events = counted_by(redis.pcall('ZCARD', window))
local n_shown = counted_by(redis.pcall('ZCARD', shown))
local key_sets = recent_key_sets(recent, math.floor(time[1] / 86400))
local n_keys, n_profiles = n_recent_keys(key_sets), redis.call('DEL', profile)
redis.call('DEL', window, shown, listed, unpack(key_sets))
return {tonumber(now_text), n_events, n_shown, n_profiles, n_keys}
