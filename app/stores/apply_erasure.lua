#!lua flags=allow-oom
-- Erases a customer as of an earlier moment, in a store that was restored from before the erasure.
--
-- KEYS  window, shown, profile, recent, tombstones' prefix, erasures, list, merges
-- ARGV  1 a secret, for a partition that has none, 2 TTL of a tombstone in s, 3 customer id,
--       4 when the customer was erased in µs
-- Returns the number of erased events of the window, of sales shown and of profiles.
local window, shown, profile, recent, erased, erasures, listed, merges = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local until_us = math.min(tonumber(ARGV[4]), now)
local until_text = string.format('%.0f', until_us)

-- What another program stored there is no customer's later events: it goes whole.
local function removed_until(key, last)
  local n = redis.pcall('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', last))
  return type(n) == 'number' and n or redis.call('DEL', key)
end

local n_events = removed_until(window, until_us)
local n_shown = removed_until(shown, math.floor(until_us / 1000000) * 1000 + 999)
local packed, n_profiles = redis.pcall('GET', profile), 0
local is_profile = type(packed) == 'string' and #packed >= 9
if packed and not (is_profile and struct.unpack('>i8', packed, 2) > until_us) then
  n_profiles = redis.call('DEL', profile)
end

-- A list may come from events of before.
redis.call('DEL', listed)

-- Who was merged after the erasure stays so.
for _, field in ipairs(redis.call('HKEYS', merges)) do
  local guest = string.match(field, '^g:(.*)$')
  if (guest or field == 'at') and tonumber(redis.call('HGET', merges, field)) <= until_us then
    redis.call('HDEL', merges, field, guest and 'p:' .. guest or 'into')
  end
end

-- A set holds the keys of a day. That of the erasure's day may hold those of later events, which must
-- not count twice: it goes unless the customer has any.
local is_empty = redis.call('EXISTS', window, shown) == 0
local last_day = math.floor(until_us / 86400000000) - (is_empty and 0 or 1)
for _, set in ipairs(recent_key_sets(recent, math.floor(time[1] / 86400))) do
  if tonumber(string.match(set, '%d+$')) <= last_day then redis.call('DEL', set) end
end

redis.call('SETNX', erased .. 'secret', ARGV[1])
local lives_s = math.floor(ARGV[2] - (now - until_us) / 1000000)
local is_readable, before_us = pcall(erased_until, erased, window)
if lives_s > 0 and not (is_readable and before_us >= until_us) then
  redis.call('SET', tombstone_of(erased, window), until_text, 'EX', lives_s)
  redis.call('XADD', erasures, '*', 'c', ARGV[3], 'r', until_text)
end
return {n_events, n_shown, n_profiles}
