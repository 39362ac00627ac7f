#!lua
-- Marks the catalogue as incomplete until it is vouched for again. Later changes get versions
-- above all that the worker knows, so that the worker takes them for newer.
--
-- KEYS  version, generation
-- ARGV  1 the generation that the worker saw, 2 the version that it knows
if (redis.call('GET', KEYS[2]) or '') == ARGV[1] then redis.call('DEL', KEYS[2]) end
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[2])
end
