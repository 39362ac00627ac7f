#!lua
-- Removes what is stored of a guest whose customer has taken it.
--
-- KEYS  merges, window, shown, profile, recent, list
-- ARGV  1 customer id
local merges, window, shown, profile, recent, listed = unpack(KEYS)
if redis.call('HGET', merges, 'into') == ARGV[1] then
  local today = math.floor(redis.call('TIME')[1] / 86400)
  redis.call('DEL', window, shown, profile, listed, unpack(recent_key_sets(recent, today)))
end
