#!lua
-- Marks the catalogue as whole, at a version of its own. It is above all that the caller knows,
-- also where the store was restored and its clock set back.
--
-- KEYS  version, generation, vouched
-- ARGV  the version that the caller knows
-- Returns the version.
local time = redis.call('TIME')
local stored = tonumber(version_in(KEYS[1]))
local known = math.max(stored, tonumber(ARGV[1]), time[1] * 1000000 + time[2])
local version = string.format('%.0f', known + 1)
redis.call('SET', KEYS[1], version)
if version_in(KEYS[2]) == '0' then redis.call('SET', KEYS[2], version) end
redis.call('SET', KEYS[3], version)
return version
