#!lua
-- Takes what was stored of a guest into the customer. To repeat it changes nothing.
--
-- KEYS  merges, window, shown, profile, recent, stream of merges
-- ARGV  1 guest id, 2 customer id, 3 window events, 4 sales shown, 5 customer TTL s, 6 recent TTL s,
--       7 time of the guest's first event in µs, 8 the guest's profile, 9 number of events, 10 number
--       of sales shown; then member and score of each event and sale shown; then day and key of each
--       recent event
-- Returns when the guest was merged, in µs; nothing if the customer was
-- erased since the guest was marked.
local FIRST_EVENT = 11
local merges, window, shown, profile, recent, stream = unpack(KEYS)
local guest = 'g:' .. ARGV[1]
local merged_text = redis.call('HGET', merges, guest)
if not merged_text then return {} end

local function take(set, limit, first, n)
  for i = first, first + 2 * n - 2, 2 do add_bounded(set, limit, ARGV[i + 1], ARGV[i]) end
  return first + 2 * n
end

local first_shown = take(window, ARGV[3], FIRST_EVENT, ARGV[9])
local first_recent = take(shown, ARGV[4], first_shown, ARGV[10])
for i = first_recent, #ARGV, 2 do
  redis.call('SADD', recent .. ':' .. ARGV[i], ARGV[i + 1])
  redis.call('EXPIRE', recent .. ':' .. ARGV[i], ARGV[6])
end
if merged_text == '' then
  local time = redis.call('TIME')
  merged_text = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('HSET', merges, guest, merged_text)
  if ARGV[8] ~= '' then redis.call('HSET', merges, 'p:' .. ARGV[1], ARGV[8]) end
  -- Who was there first: the id by which experiments know both.
  local known_us, first_us = tonumber(redis.call('HGET', merges, 'first_us')), tonumber(ARGV[7])
  local known = redis.call('HGET', merges, 'first')
  if first_us < known_us or (first_us == known_us and known ~= ARGV[2] and ARGV[1] < known) then
    redis.call('HSET', merges, 'first', ARGV[1], 'first_us', ARGV[7])
  end
  redis.call('XADD', stream, '*', 'g', ARGV[1], 'c', ARGV[2], 'r', merged_text)
end
for _, key in ipairs({merges, window, shown, profile}) do redis.call('EXPIRE', key, ARGV[5]) end
return {tonumber(merged_text)}
