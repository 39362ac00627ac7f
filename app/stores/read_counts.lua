#!lua flags=no-writes
-- Reads a partition's counters up to a time on the grid.
--
-- KEYS  counters' prefix
-- ARGV  first hour, end in µs (a whole minute)
-- Returns the clock in µs, then pairs of hour and flat list of field and count.
local MINUTE_US, HOUR_US = 60000000, 3600000000
local prefix, first, until_us = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = math.floor((until_us - 1) / HOUR_US)

local function counts(unit, at)
  return redis.call('HGETALL', prefix .. unit .. string.format('%d', at))
end

-- A damaged count is none.
local function number_of(count) return tonumber(count) or 0 end

-- The running hour minus its minutes from the end on: one or two, instead of up to sixty.
local later = {}
local last_minute = math.min(math.floor(now / MINUTE_US), last * 60 + 59)
for minute = until_us / MINUTE_US, last_minute do
  local flat = counts('m', minute)
  for i = 1, #flat, 2 do later[flat[i]] = (later[flat[i]] or 0) + number_of(flat[i + 1]) end
end

local reply = {now}
for hour = first, last do
  local flat = counts('h', hour)
  if hour == last then
    for i = 1, #flat, 2 do flat[i + 1] = number_of(flat[i + 1]) - (later[flat[i]] or 0) end
  end
  if #flat > 0 then
    reply[#reply + 1] = hour
    reply[#reply + 1] = flat
  end
end
return reply
