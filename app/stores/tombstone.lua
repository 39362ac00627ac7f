-- What every script that takes in or erases events of a customer begins with.
-- `erased` is the prefix of the partition's tombstones, `window` the key of his window.

-- Without the partition's secret nobody can tell from a tombstone whose it is.
local function tombstone_of(erased, window)
  local secret = redis.call('GET', erased .. 'secret')
  if not secret then return nil end
  return erased .. redis.sha1hex(secret .. redis.sha1hex(secret .. window))
end

-- Up to when his events are erased, in µs; below all times if he never was.
local function erased_until(erased, window)
  local tombstone = tombstone_of(erased, window)
  return tonumber(tombstone and redis.call('GET', tombstone) or '-1')
end

