#!lua
-- Takes the mark of a merge that was refused away again.
--
-- KEYS  merges
-- ARGV  1 guest id
local guest = 'g:' .. ARGV[1]
if redis.call('HGET', KEYS[1], guest) == '' then
  redis.call('HDEL', KEYS[1], guest)
  local others = redis.call('HKEYS', KEYS[1])
  -- No guest is left: whoever it is, is a customer without merges again.
  for _, field in ipairs(others) do
    if string.sub(field, 1, 2) == 'g:' then return end
  end
  redis.call('DEL', KEYS[1])
end
