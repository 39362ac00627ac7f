#!lua
-- Appends events of one customer, in order, each wholly or not at all.
--
-- KEYS  window, shown, profile, recent, events, counters' prefix, tombstones' prefix
-- ARGV  1 max ahead µs, 2 max age µs, 3 window events, 4 sales shown, 5 customer TTL s,
--       6 recent TTL s, 7 stream bytes, 8 minute TTL s, 9 hour TTL s, 10 TTL s of the set
--       of customers counted, 11 pairs of sale and type counted in an hour; then per event: event key, a
--       signed integer; at µs; sale key and type code (9 bytes); member (24 bytes), of an
--       impression empty; JSON
-- Returns a code per event, see OUTCOMES in customer.py.
local ACCEPTED, DUPLICATE, FUTURE, TOO_OLD, ERASED = 0, 1, 2, 3, 4
local FIRST_EVENT, PER_EVENT, KEY_BYTES, DIGEST_BYTES = 12, 5, 8, 16
local window, shown, profile, recent, events, counters, erased = unpack(KEYS)
local erased_us = erased_until(erased, window)
local time = redis.call('TIME')
local received = time[1] * 1000000 + time[2]
local received_text = string.format('%.0f', received)
local minute = counters .. 'm' .. string.format('%d', math.floor(received / 60000000))
local hour_number = string.format('%d', math.floor(received / 3600000000))
local hour, counted = counters .. 'h' .. hour_number, counters .. 'u' .. hour_number

local today = math.floor(time[1] / 86400)
local remembered_today = recent .. ':' .. string.format('%d', today)
local remembered = {}
for _, set in ipairs(remembered_sets(recent, today)) do
  if set == remembered_today or redis.call('EXISTS', set) == 1 then
    remembered[#remembered + 1] = set
  end
end

local function is_new(event_key, member)
  for _, set in ipairs(remembered) do
    if redis.call('SISMEMBER', set, event_key) == 1 then return false end
  end
  -- The window holds its events for longer than the sets.
  return member == '' or not redis.call('ZSCORE', window, member)
end

-- A customer counts once per sale, type and hour: see `models.catalogue.event_counts.counted`.
local function count(field)
  if redis.call('HLEN', hour) >= tonumber(ARGV[11]) and redis.call('HEXISTS', hour, field) == 0 then
    redis.call('HINCRBY', counters .. 'lost', 'counts', 1)
    return
  end
  local digest = string.sub(redis.sha1hex(window .. field), 1, DIGEST_BYTES)
  if redis.call('SADD', counted, digest) == 0 then return end
  redis.call('HINCRBY', minute, field, 1)
  redis.call('HINCRBY', hour, field, 1)
end

local function append(i)
  local event_key, at, field, member, json = unpack(ARGV, i, i + PER_EVENT - 1)
  if tonumber(at) > received + ARGV[1] then return FUTURE end
  if tonumber(at) < received - ARGV[2] then return TOO_OLD end
  if tonumber(at) <= erased_us then return ERASED end
  if not is_new(event_key, member) then return DUPLICATE end
  if member == '' then
    add_bounded(shown, ARGV[4], math.floor(at / 1000000), string.sub(field, 1, KEY_BYTES))
  else
    add_bounded(window, ARGV[3], at, member)
  end
  count(field)
  add_entry(events, 'events', counters, #json, 'e', json, 'r', received_text)
  redis.call('SADD', remembered_today, event_key)
  return ACCEPTED
end

local codes, n_accepted = {}, 0
for i = FIRST_EVENT, #ARGV, PER_EVENT do
  local code = append(i)
  codes[#codes + 1] = code
  if code == ACCEPTED then n_accepted = n_accepted + 1 end
end
if n_accepted > 0 then
  redis.call('EXPIRE', window, ARGV[5])
  redis.call('EXPIRE', shown, ARGV[5])
  redis.call('EXPIRE', profile, ARGV[5])
  redis.call('EXPIRE', remembered_today, ARGV[6])
  redis.call('EXPIRE', minute, ARGV[8])
  redis.call('EXPIRE', hour, ARGV[9])
  redis.call('EXPIRE', counted, ARGV[10])
  redis.call('SETNX', counters .. 'since', received_text)
  drop_oldest(events, 'events', counters, ARGV[7])
end
return codes
