#!lua flags=no-writes
-- Looks for keys of another type that keep a partition from taking events, answers or erasures.
--
-- KEYS  events, exposures, erasures, counters' prefix
-- Returns the names of such keys.
local counters, seconds = KEYS[4], redis.call('TIME')[1]
local this_minute = counters .. 'm' .. string.format('%d', math.floor(seconds / 60))
local this_hour = string.format('%d', math.floor(seconds / 3600))
local counted = counters .. 'u' .. this_hour
local hashes = {this_minute, counters .. 'h' .. this_hour, counters .. 'written', counters .. 'lost'}

local damaged = {}
local function check(key, size)
  if type(size) ~= 'number' then damaged[#damaged + 1] = key end
end

for i = 1, 3 do
  check(KEYS[i], redis.pcall('XLEN', KEYS[i]))
end
check(counted, redis.pcall('SCARD', counted))
for _, hash in ipairs(hashes) do
  check(hash, redis.pcall('HLEN', hash))
end
return damaged
