#!lua
-- Marks the catalogue as whole, at a version of its own. It is above all that the caller knows,
-- also where the store was restored and its clock set back.
--
-- KEYS  version, generation, vouched
-- ARGV  the version that the caller knows
-- Returns the version.
local time = redis.call('TIME')
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local known = math.max(stored, tonumber(ARGV[1]), time[1] * 1000000 + time[2])
local version = string.format('%.0f', known + 1)
redis.call('SET', KEYS[1], version)
redis.call('SETNX', KEYS[2], version)
redis.call('SET', KEYS[3], version)
return version
