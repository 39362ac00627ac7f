#!lua flags=allow-oom
-- Erases a customer: all events up to now, and those of them that still come. Allowed without
-- memory, because an erasure is owed also while the store is full.
--
-- KEYS  window, shown, profile, recent, tombstones' prefix, erasures, list, merges
-- ARGV  1 a secret, for a partition that has none, 2 TTL of a tombstone in s, 3 customer id, 4 1 if those
--       that are one customer with this one are known, else 0
-- Returns the clock in µs, the number of events of the window, of sales shown, of profiles,
-- and of recent event keys; of a customer with merges that are not known, their fields, and erases
-- nothing.
local window, shown, profile, recent, erased, erasures, listed, merges = unpack(KEYS)
-- An error, where another program stored something there, has no fields, and is erased.
local fields = redis.pcall('HGETALL', merges)
if ARGV[4] == '0' and #fields > 0 then return fields end
local time = redis.call('TIME')
local now_text = string.format('%.0f', time[1] * 1000000 + time[2])

redis.call('SETNX', erased .. 'secret', ARGV[1])
redis.call('SET', tombstone_of(erased, window), now_text, 'EX', ARGV[2])
redis.call('XADD', erasures, '*', 'c', ARGV[3], 'r', now_text)
local n_events = counted_by(redis.pcall('ZCARD', window))
local n_shown = counted_by(redis.pcall('ZCARD', shown))
local key_sets = recent_key_sets(recent, math.floor(time[1] / 86400))
local n_keys, n_profiles = n_recent_keys(key_sets), redis.call('DEL', profile)
redis.call('DEL', window, shown, listed, merges, unpack(key_sets))
return {tonumber(now_text), n_events, n_shown, n_profiles, n_keys}
