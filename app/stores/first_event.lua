-- Function of scripts that merge customers.

-- Stands for no event: later than all times.
local NEVER_US = 2^53

-- Returns the time of the first event that is known of a customer, in µs as text.
local function first_event_us(window, shown, profile)
  local first = NEVER_US
  local event = redis.call('ZRANGE', window, 0, 0, 'WITHSCORES')
  if event[2] then first = tonumber(event[2]) end
  local impression = redis.call('ZRANGE', shown, 0, 0, 'WITHSCORES')
  if impression[2] then
    first = math.min(first, math.floor(tonumber(impression[2]) / 1000) * 1000000)
  end
  local packed = redis.call('GET', profile)
  if packed and #packed >= 9 then
    -- Behind the byte of its format, see `models.domain.profile`; 0 without an event.
    local profile_us = struct.unpack('>i8', packed, 2)
    if profile_us > 0 then first = math.min(first, profile_us) end
  end
  return string.format('%.0f', first)
end

