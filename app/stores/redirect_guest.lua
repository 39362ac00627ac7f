#!lua
-- Redirects a guest to a customer, and reads what is stored of the guest: from here on all events of
-- the guest are the customer's.
--
-- KEYS  merges, window, shown, profile, recent
-- ARGV  1 customer id, 2 TTL s
-- Returns OTHER and the id of another customer whom the guest was merged into; CUSTOMER if others were
-- merged into the guest; else GUEST, the time of the first event, members and scores of the window, of
-- the sales shown, the profile, and day and key of each recent event.
local GUEST, OTHER, CUSTOMER = 0, 1, 2
local merges, window, shown, profile, recent = unpack(KEYS)
local into = redis.call('HGET', merges, 'into')
if into and into ~= ARGV[1] then return {OTHER, into} end
if not into and redis.call('EXISTS', merges) == 1 then return {CUSTOMER} end
local time = redis.call('TIME')
if not into then
  redis.call('HSET', merges, 'into', ARGV[1], 'at', string.format('%.0f', time[1] * 1000000 + time[2]))
end
redis.call('EXPIRE', merges, ARGV[2])
local keys = {}
for _, set in ipairs(recent_key_sets(recent, math.floor(time[1] / 86400))) do
  local day = string.match(set, '%d+$')
  for _, key in ipairs(redis.call('SMEMBERS', set)) do
    keys[#keys + 1] = day
    keys[#keys + 1] = key
  end
end
return {
  GUEST,
  first_event_us(window, shown, profile),
  redis.call('ZRANGE', window, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', shown, 0, -1, 'WITHSCORES'),
  redis.call('GET', profile) or '',
  keys
}
