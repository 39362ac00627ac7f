#!lua
-- Makes a bundle the active one, and the one before it the previous one. To repeat it is safe.
--
-- KEYS  wanted
-- ARGV  1 bundle id, 2 the bundle that answers where none was wanted so far, empty for none
-- Returns the fields of wanted.
local wanted, bundle = KEYS[1], ARGV[1]
local stored = redis.call('HGET', wanted, 'active')
local active = stored or ARGV[2]
if bundle ~= active then
  redis.call('HSET', wanted, 'active', bundle, 'previous', active)
elseif not stored then
  redis.call('HSET', wanted, 'active', bundle)
end
return redis.call('HGETALL', wanted)
