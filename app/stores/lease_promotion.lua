#!lua
-- Takes or renews the lease of the promoter, unless another worker holds it. A worker that was
-- paused for longer than its lease decides nothing: change_promotion.lua asks for the holder again.
--
-- KEYS  promoter
-- ARGV  1 worker, 2 lifetime in ms
-- Returns 1, or 0 where another worker is the promoter.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
