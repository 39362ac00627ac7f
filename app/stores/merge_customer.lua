#!lua
-- Merges events and impressions from files into a customer's window and sales shown, and
-- replaces the profile, or its attributes alone. Events before an erasure are left out, and a
-- profile that begins before one.
--
-- KEYS  window, shown, profile, recent, tombstones' prefix, merges
-- ARGV  1 window events, 2 sales shown, 3 expiry in s since the epoch, 4 packed profile, empty
--       for none, 5 when it begins in µs, 6 recent TTL s, 7 number of events, 8 number of
--       sales shown, 9 where attributes begin, if totals and purchases of a stored profile
--       stay, else 0, 10 number of guests whose events the profile counts; then their ids; then at µs
--       and member of each event; then stamp and sale key of each impression; then at µs and event key
--       of each event that may be sent again
-- Returns the number of events that were left out. A guest who was merged into a customer is left
-- alone.
local FIRST_GUEST = 11
local window, shown, profile, recent, erased, merges = unpack(KEYS)
if redis.call('HEXISTS', merges, 'into') == 1 then return 0 end
local expires, n_events, n_shown = ARGV[3], tonumber(ARGV[7]), tonumber(ARGV[8])
local first_event = FIRST_GUEST + tonumber(ARGV[10])
local first_impression = first_event + 2 * n_events
local first_recent = first_impression + 2 * n_shown
local erased_us = erased_until(erased, window)

-- A customer who came back since then expires later than the files say.
local function expire(key)
  redis.call('EXPIREAT', key, expires, 'NX')
  redis.call('EXPIREAT', key, expires, 'GT')
end

-- Returns score and member of those from `first` to `last` that no erasure covers. A unit of time
-- has so many scores.
local function kept(first, last, scores, unit_us)
  local found = {}
  for i = first, last, 2 do
    if math.floor(ARGV[i] / scores) * unit_us > erased_us then
      found[#found + 1] = ARGV[i]
      found[#found + 1] = ARGV[i + 1]
    end
  end
  return found
end

local function merge(key, scored, limit)
  for i = 1, #scored, 2 do add_bounded(key, limit, scored[i], scored[i + 1]) end
  if #scored > 0 then expire(key) end
end

local events = kept(first_event, first_impression - 1, 1, 1)
merge(window, events, ARGV[1])
merge(shown, kept(first_impression, first_recent - 1, 1000, 1000000), ARGV[2])
local keys = kept(first_recent, #ARGV, 1, 1)
if #keys > 0 then
  local today = recent .. ':' .. string.format('%d', math.floor(redis.call('TIME')[1] / 86400))
  for i = 2, #keys, 2 do redis.call('SADD', today, keys[i]) end
  redis.call('EXPIRE', today, ARGV[6])
end
for i = FIRST_GUEST, first_event - 1 do redis.call('HDEL', merges, 'p:' .. ARGV[i]) end
local start = tonumber(ARGV[9])
local stored = start > 0 and redis.pcall('GET', profile)
local has_totals = type(stored) == 'string' and #stored >= start + 4
  and struct.unpack('>i8', stored, 2) > 0
if ARGV[4] == '' or tonumber(ARGV[5]) <= erased_us then
  if start == 0 then redis.call('DEL', profile) end
elseif has_totals then
  local purchases = stored:sub(start + 5 + struct.unpack('>I4', stored, start + 1))
  -- Attributes do not make totals live longer.
  redis.call(
    'SET', profile, stored:sub(1, start) .. ARGV[4]:sub(start + 1) .. purchases, 'KEEPTTL'
  )
else
  redis.call('SET', profile, ARGV[4], 'KEEPTTL')
  expire(profile)
  -- The profile lives as long as the window.
  local lives_ms = redis.call('PEXPIRETIME', window)
  if lives_ms > 0 then redis.call('EXPIREAT', profile, math.floor(lives_ms / 1000), 'GT') end
end
return n_events - #events / 2
