#!lua
-- Merges events from files into a customer's window, and replaces his profile.
--
-- KEYS  window, profile
-- ARGV  1 window events, 2 expiry in s since the epoch, 3 packed profile, empty for none;
--       then at µs and member of each event
local FIRST_EVENT = 4
local window, profile, expires = KEYS[1], KEYS[2], ARGV[2]

-- A customer who came back since lives longer than the files know.
local function expire(key)
  redis.call('EXPIREAT', key, expires, 'NX')
  redis.call('EXPIREAT', key, expires, 'GT')
end

if #ARGV >= FIRST_EVENT then
  redis.call('ZADD', window, unpack(ARGV, FIRST_EVENT))
  redis.call('ZREMRANGEBYRANK', window, 0, -(ARGV[1] + 1))
  expire(window)
end
if ARGV[3] == '' then
  redis.call('DEL', profile)
else
  redis.call('SET', profile, ARGV[3], 'KEEPTTL')
  expire(profile)
end
