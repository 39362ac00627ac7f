#!lua
-- Stores the report of a worker, and removes those of workers that stopped reporting.
--
-- KEYS  workers
-- ARGV  1 worker, 2 JSON, 3 lifetime in µs
local AT_DIGITS = 16
local workers = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('HSET', workers, ARGV[1], string.format('%016.0f', now) .. ARGV[2])
local flat = redis.call('HGETALL', workers)
for i = 1, #flat, 2 do
  if (tonumber(string.sub(flat[i + 1], 1, AT_DIGITS)) or 0) < now - ARGV[3] then
    redis.call('HDEL', workers, flat[i])
  end
end
