-- Functions of scripts that take in or erase events of a customer.
-- `erased` is the prefix of the partition's tombstones, `window` the key of the window.

-- Without the partition's secret a tombstone cannot be traced to its customer.
local function tombstone_of(erased, window)
  local secret = redis.call('GET', erased .. 'secret')
  if not secret then return nil end
  return erased .. redis.sha1hex(secret .. redis.sha1hex(secret .. window))
end

-- Returns up to when events are erased, in µs; below all times without an erasure. A damaged time is
-- an error: neither may events of an erased customer come back, nor others be refused in silence.
local function erased_until(erased, window)
  local tombstone = tombstone_of(erased, window)
  local until_us = tonumber(tombstone and redis.call('GET', tombstone) or '-1')
  return until_us or error(tombstone .. ' holds no time: erase its customer again, or remove it')
end

