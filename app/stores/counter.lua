-- Function of scripts that count in hashes.

-- Adds to a field, and returns the sum. A field that holds anything else than a number begins anew.
local function add(hash, field, n)
  local sum = redis.pcall('HINCRBY', hash, field, n)
  if type(sum) == 'number' then return sum end
  redis.call('HSET', hash, field, n)
  return n
end

