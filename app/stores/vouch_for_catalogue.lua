#!lua
-- Says that the catalogue is whole, as a version of its own.
--
-- KEYS  version, generation, vouched
-- Returns the version.
local time = redis.call('TIME')
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local version = string.format('%.0f', math.max(stored, time[1] * 1000000 + time[2]) + 1)
redis.call('SET', KEYS[1], version)
redis.call('SETNX', KEYS[2], version)
redis.call('SET', KEYS[3], version)
return version
