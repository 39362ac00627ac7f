#!lua
-- Marks at a customer that a guest is being merged into them.
--
-- KEYS  merges, window, shown, profile
-- ARGV  1 guest id, 2 customer id, 3 guests of a customer at most, 4 TTL s
-- Returns 1; 0 if the customer has too many guests; of a customer who is a guest themselves, the id of
-- whom they were merged into.
local merges, window, shown, profile = unpack(KEYS)
local into = redis.call('HGET', merges, 'into')
if into then return into end
local guest = 'g:' .. ARGV[1]
if redis.call('HEXISTS', merges, guest) == 0 then
  local n_guests = 0
  for _, field in ipairs(redis.call('HKEYS', merges)) do
    if string.sub(field, 1, 2) == 'g:' then n_guests = n_guests + 1 end
  end
  if n_guests >= tonumber(ARGV[3]) then return 0 end
  redis.call('HSET', merges, guest, '')
end
if redis.call('HSETNX', merges, 'first', ARGV[2]) == 1 then
  redis.call('HSET', merges, 'first_us', first_event_us(window, shown, profile))
end
redis.call('EXPIRE', merges, ARGV[4])
return 1
