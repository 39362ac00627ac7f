#!lua
-- Puts a plan of experiments by compare-and-set on the version that it changes: of two editors that
-- read the same version one wins, and the other has to read again.
--
-- KEYS  plan, audit
-- ARGV  1 version that it changes, 2 its own version, 3 its JSON, 4 JSON of the change,
--       5 changes kept
-- Returns 1, or 0 where another version is stored: nothing changed then. A change that is sent
-- again because its reply was lost finds itself stored, and returns 1.
local plan, audit = KEYS[1], KEYS[2]
local version = redis.call('HGET', plan, 'version') or '0'
if version ~= ARGV[1] then
  local is_own = version == ARGV[2] and redis.call('HGET', plan, 'json') == ARGV[3]
  return (is_own and redis.call('LRANGE', audit, 0, 0)[1] == ARGV[4]) and 1 or 0
end
redis.call('HSET', plan, 'version', ARGV[2], 'json', ARGV[3])
redis.call('LPUSH', audit, ARGV[4])
redis.call('LTRIM', audit, 0, tonumber(ARGV[5]) - 1)
return 1
