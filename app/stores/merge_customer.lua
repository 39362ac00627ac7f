#!lua
-- Merges events from files into a customer's window, and replaces his profile. What lies
-- before an erasure is left out, and a profile that begins before one.
--
-- KEYS  window, profile, tombstones' prefix
-- ARGV  1 window events, 2 expiry in s since the epoch, 3 packed profile, empty for none,
--       4 when it begins in µs; then at µs and member of each event
-- Returns the number of events that are left out.
local FIRST_EVENT = 5
local window, profile, erased = unpack(KEYS)
local expires = ARGV[2]
local erased_us = erased_until(erased, window)

-- A customer who came back since lives longer than the files know.
local function expire(key)
  redis.call('EXPIREAT', key, expires, 'NX')
  redis.call('EXPIREAT', key, expires, 'GT')
end

local kept = {}
for i = FIRST_EVENT, #ARGV, 2 do
  if tonumber(ARGV[i]) > erased_us then
    kept[#kept + 1] = ARGV[i]
    kept[#kept + 1] = ARGV[i + 1]
  end
end
if #kept > 0 then
  redis.call('ZADD', window, unpack(kept))
  redis.call('ZREMRANGEBYRANK', window, 0, -(ARGV[1] + 1))
  expire(window)
end
if ARGV[3] == '' or tonumber(ARGV[4]) <= erased_us then
  redis.call('DEL', profile)
else
  redis.call('SET', profile, ARGV[3], 'KEEPTTL')
  expire(profile)
  -- His profile stays as long as what he did since.
  local lives_ms = redis.call('PEXPIRETIME', window)
  if lives_ms > 0 then redis.call('EXPIREAT', profile, math.floor(lives_ms / 1000), 'GT') end
end
return (#ARGV - FIRST_EVENT + 1 - #kept) / 2
