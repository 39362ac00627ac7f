#!lua
-- Marks the catalogue as incomplete until it is vouched for again. Later changes get versions
-- above all that the worker knows, so that the worker takes them for newer.
--
-- KEYS  version, generation
-- ARGV  1 the generation that the worker saw, 2 the version that it knows
if generation_in(KEYS[2], KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[2], DISTRUSTED) end
if tonumber(version_in(KEYS[1])) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[2])
end
