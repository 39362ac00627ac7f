#!lua
-- Puts a state of a promotion by compare-and-set on the version that it follows.
--
-- KEYS  promotion, earlier promotions, promoter
-- ARGV  1 version that it follows, 2 its own version, 3 its JSON, 4 the worker that must be
--       the promoter, empty for a change by hand, 5 '1' where another promotion begins,
--       6 earlier promotions kept
-- Returns 1, or 0 where another version is stored or another worker is the promoter: nothing
-- changed then. A change that is sent again because its reply was lost returns 1.
local promotion, earlier, promoter = KEYS[1], KEYS[2], KEYS[3]
local version = redis.call('HGET', promotion, 'version') or '0'
if version ~= ARGV[1] then
  return version == ARGV[2] and redis.call('HGET', promotion, 'json') == ARGV[3] and 1 or 0
end
if ARGV[4] ~= '' and redis.call('GET', promoter) ~= ARGV[4] then
  return 0
end
local before = redis.call('HGET', promotion, 'json')
if ARGV[5] == '1' and before then
  redis.call('LPUSH', earlier, before)
  redis.call('LTRIM', earlier, 0, tonumber(ARGV[6]) - 1)
end
redis.call('HSET', promotion, 'version', ARGV[2], 'json', ARGV[3])
return 1
