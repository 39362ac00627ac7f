#!lua
-- Appends events of one customer, in order. Everything or nothing happens to each event.
--
-- KEYS  window, shown, profile, recent, events, counters' prefix, tombstones' prefix
-- ARGV  1 max ahead µs, 2 max age µs, 3 window events, 4 sales shown, 5 customer TTL s,
--       6 recent events, 7 recent TTL s, 8 stream entries, 9 minute TTL s, 10 hour TTL s;
--       then per event: at µs; sale key and type code (9 bytes); member (24 bytes), or of an
--       impression the event key (8 bytes); JSON
-- Returns a code per event: see RedisCustomerStore.
local ACCEPTED, DUPLICATE, FUTURE, TOO_OLD, ERASED = 0, 1, 2, 3, 4
local FIRST_EVENT, PER_EVENT, KEY_BYTES = 11, 4, 8
local window, shown, profile, recent, events, counters, erased = unpack(KEYS)
local erased_us = erased_until(erased, window)
local time = redis.call('TIME')
local received = time[1] * 1000000 + time[2]
local received_text = string.format('%.0f', received)
local minute = counters .. 'm' .. string.format('%d', math.floor(received / 60000000))
local hour = counters .. 'h' .. string.format('%d', math.floor(received / 3600000000))

local function remember(event_key)
  if redis.call('ZSCORE', recent, event_key) then return false end
  add_bounded(recent, ARGV[6], received_text, event_key)
  redis.call('EXPIRE', recent, ARGV[7])
  return true
end

local function is_new(at, member)
  if #member == KEY_BYTES then return remember(member) end
  if redis.call('ZSCORE', window, member) then return false end
  if add_bounded(window, ARGV[3], at, member) then return true end
  -- Older than a full window, which does not know it and would count its repetition.
  return remember(string.sub(member, 1, KEY_BYTES))
end

local function append(i)
  local at, field, member, json = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if tonumber(at) > received + ARGV[1] then return FUTURE end
  if tonumber(at) < received - ARGV[2] then return TOO_OLD end
  if tonumber(at) <= erased_us then return ERASED end
  if not is_new(at, member) then return DUPLICATE end
  if #member == KEY_BYTES then
    add_bounded(shown, ARGV[4], math.floor(at / 1000000), string.sub(field, 1, KEY_BYTES))
  end
  redis.call('HINCRBY', minute, field, 1)
  redis.call('HINCRBY', hour, field, 1)
  redis.call('XADD', events, 'MAXLEN', '~', ARGV[8], '*', 'e', json, 'r', received_text)
  return ACCEPTED
end

local n_before, codes, n_accepted = redis.call('XLEN', events), {}, 0
for i = FIRST_EVENT, #ARGV, PER_EVENT do
  local code = append(i)
  codes[#codes + 1] = code
  if code == ACCEPTED then n_accepted = n_accepted + 1 end
end
if n_accepted > 0 then
  redis.call('EXPIRE', window, ARGV[5])
  redis.call('EXPIRE', shown, ARGV[5])
  redis.call('EXPIRE', profile, ARGV[5])
  redis.call('EXPIRE', minute, ARGV[9])
  redis.call('EXPIRE', hour, ARGV[10])
  redis.call('SETNX', counters .. 'since', received_text)
  local n_lost = n_before + n_accepted - redis.call('XLEN', events)
  if n_lost > 0 then redis.call('HINCRBY', counters .. 'lost', 'events', n_lost) end
end
return codes
