#!lua flags=allow-oom
-- Erases a customer as of an earlier moment, in a store that was restored from before the erasure.
--
-- KEYS  window, shown, profile, tombstones' prefix, erasures
-- ARGV  1 a secret, for a partition that has none, 2 TTL of a tombstone in s, 3 customer id,
--       4 when the customer was erased in µs
-- Returns the number of erased events of the window, of sales shown and of profiles.
local window, shown, profile, erased, erasures = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local until_us = math.min(tonumber(ARGV[4]), now)
local until_text = string.format('%.0f', until_us)

local n_events = redis.call('ZREMRANGEBYSCORE', window, '-inf', until_text)
local n_shown = redis.call(
  'ZREMRANGEBYSCORE', shown, '-inf', string.format('%.0f', math.floor(until_us / 1000000) * 1000 + 999))
local packed, n_profiles = redis.call('GET', profile), 0
if packed and struct.unpack('>i8', packed) <= until_us then n_profiles = redis.call('DEL', profile) end

redis.call('SETNX', erased .. 'secret', ARGV[1])
local lives_s = math.floor(ARGV[2] - (now - until_us) / 1000000)
if lives_s > 0 and erased_until(erased, window) < until_us then
  redis.call('SET', tombstone_of(erased, window), until_text, 'EX', lives_s)
  redis.call('XADD', erasures, '*', 'c', ARGV[3], 'r', until_text)
end
return {n_events, n_shown, n_profiles}
