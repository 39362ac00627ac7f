#!lua
-- Appends events of one customer, in order, each wholly or not at all.
--
-- KEYS  window, shown, profile, recent, events, counters' prefix, tombstones' prefix, merges
-- ARGV  1 max ahead µs, 2 max age µs, 3 window events, 4 sales shown, 5 customer TTL s,
--       6 recent TTL s, 7 stream bytes, 8 minute TTL s, 9 hour TTL s, 10 TTL s of the set
--       of customers counted, 11 pairs of sale and type counted in an hour, 12 hours that
--       counts are kept; then per event: event key, a signed integer; at µs; field of a counter
--       (FIELD in count.py), empty for an event that is not counted; member (24 bytes), empty for
--       an impression; stamp of an impression, otherwise empty; JSON
-- Returns a code per event, see OUTCOMES in event_outcome.py; of a guest who was merged into a customer,
-- the customer's id and up to when the guest's own events are erased in µs, and takes nothing.
local ACCEPTED, DUPLICATE, FUTURE, TOO_OLD, ERASED, NO_PURCHASE = 0, 1, 2, 3, 4, 5
local FIRST_EVENT, PER_EVENT, KEY_BYTES, DIGEST_BYTES = 13, 6, 8, 16
local PURCHASE_CELL = string.char(PURCHASE, 0, 0)
local window, shown, profile, recent, events, counters, erased, merges = unpack(KEYS)
local erased_us = erased_until(erased, window)
local into = redis.call('HGET', merges, 'into')
if into then
  redis.call('EXPIRE', merges, ARGV[5])
  return {into, erased_us}
end
local time = redis.call('TIME')
local received = time[1] * 1000000 + time[2]
local received_text = string.format('%.0f', received)
local minute = counters .. 'm' .. string.format('%d', math.floor(received / 60000000))
local HOUR_US = 3600000000
local this_hour = math.floor(received / HOUR_US)
local hour_number = string.format('%d', this_hour)
local hour, counted = counters .. 'h' .. hour_number, counters .. 'u' .. hour_number

-- A key of another type fails here, before an event is half taken.
redis.call('ZCARD', shown)
redis.call('XLEN', events)
redis.call('SCARD', counted)
for _, hash in ipairs({minute, hour, counters .. 'written', counters .. 'lost'}) do
  redis.call('HLEN', hash)
end

local today = math.floor(time[1] / 86400)
local keys_of_today = recent .. ':' .. string.format('%d', today)
local recent_sets = {}
for _, set in ipairs(recent_key_sets(recent, today)) do
  if set == keys_of_today or redis.call('EXISTS', set) == 1 then
    recent_sets[#recent_sets + 1] = set
  end
end

local function is_new(event_key, member)
  for _, set in ipairs(recent_sets) do
    if redis.call('SISMEMBER', set, event_key) == 1 then return false end
  end
  -- The window holds its events for longer than the sets.
  return member == '' or not redis.call('ZSCORE', window, member)
end

local function has_room(field)
  if redis.call('HLEN', hour) < tonumber(ARGV[11]) or redis.call('HEXISTS', hour, field) == 1 then
    return true
  end
  add(counters .. 'lost', 'counts', 1)
  return false
end

local function digest_of(field)
  return string.sub(redis.sha1hex(window .. field), 1, DIGEST_BYTES)
end

local function bought_in(at_hour) return counters .. 'b' .. string.format('%d', at_hour) end

-- A customer counts once per sale, type and hour: see `models.catalogue.event_counts.counted`.
local function count(field, at, member)
  if not has_room(field) then return end
  local digest = digest_of(field)
  if redis.call('SADD', counted, digest) == 0 then return end
  add(minute, field, 1)
  add(hour, field, 1)
  if is_purchase(member) then
    local bought = bought_in(math.floor(at / HOUR_US))
    redis.call('HSET', bought, digest, hour_number)
    redis.call('EXPIRE', bought, ARGV[9])
  end
end

-- Takes the purchase of a sale that happened in an hour out of the hour that counted it, if one
-- counted.
local function remove_from_counts(sale, at_hour)
  local bought, purchase = bought_in(at_hour), digest_of(sale .. PURCHASE_CELL)
  local counted_in = tonumber(redis.call('HGET', bought, purchase) or '')
  if not counted_in then return end
  redis.call('HDEL', bought, purchase)
  local age = math.max(this_hour - counted_in, 0)
  local aged = sale .. string.char(REFUND) .. struct.pack('>I2', age)
  if age <= tonumber(ARGV[12]) and has_room(aged) then add(hour, aged, 1) end
end

-- Takes purchases out of the counts once none of the sale is left of the hour in which they
-- happened: see `models.dataset.refunded_events.counted_refunds`. Returns whether there was a
-- purchase.
local function count_refund(field, member)
  local sale = string.sub(field, 1, KEY_BYTES)
  local events = redis.call('ZRANGE', window, 0, -1)
  local before, after, found = purchases_left(events, sale, member)
  for at_hour in pairs(before) do
    if not after[at_hour] then remove_from_counts(sale, at_hour) end
  end
  return found
end

-- Fails where an hour of purchases is of another type, before an event is half taken.
local function check_bought(at, field, member)
  if is_purchase(member) then redis.call('HLEN', bought_in(math.floor(at / HOUR_US))) end
  if not is_refund(member) then return end
  local sale = string.sub(field, 1, KEY_BYTES)
  for _, other in ipairs(redis.call('ZRANGE', window, 0, -1)) do
    local event = parsed[other] or parse(other)
    if event.is_purchase and event.sale == sale then redis.call('HLEN', bought_in(event.hour)) end
  end
end

local function append(i)
  local event_key, at, field, member, stamp, json = unpack(ARGV, i, i + PER_EVENT - 1)
  if tonumber(at) > received + ARGV[1] then return FUTURE end
  if tonumber(at) < received - ARGV[2] then return TOO_OLD end
  if tonumber(at) <= erased_us then return ERASED end
  if not is_new(event_key, member) then return DUPLICATE end
  check_bought(tonumber(at), field, member)
  if member == '' then
    add_bounded(shown, ARGV[4], stamp, string.sub(field, 1, KEY_BYTES))
  else
    add_bounded(window, ARGV[3], at, member)
  end
  local outcome = ACCEPTED
  if is_refund(member) then
    if not count_refund(field, member) then outcome = NO_PURCHASE end
  elseif field ~= '' then
    count(field, tonumber(at), member)
  end
  add_entry(events, 'events', counters, #json, 'e', json, 'r', received_text)
  redis.call('SADD', keys_of_today, event_key)
  return outcome
end

local codes, n_accepted = {}, 0
for i = FIRST_EVENT, #ARGV, PER_EVENT do
  local code = append(i)
  codes[#codes + 1] = code
  if code == ACCEPTED or code == NO_PURCHASE then n_accepted = n_accepted + 1 end
end
if n_accepted > 0 then
  redis.call('EXPIRE', window, ARGV[5])
  redis.call('EXPIRE', shown, ARGV[5])
  redis.call('EXPIRE', profile, ARGV[5])
  redis.call('EXPIRE', merges, ARGV[5])
  redis.call('EXPIRE', keys_of_today, ARGV[6])
  redis.call('EXPIRE', minute, ARGV[8])
  redis.call('EXPIRE', hour, ARGV[9])
  redis.call('EXPIRE', counted, ARGV[10])
  redis.call('SETNX', counters .. 'since', received_text)
  drop_oldest(events, 'events', counters, ARGV[7])
end
return codes
