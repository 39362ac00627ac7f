#!lua
-- Adds to counts, of a promotion or of what rules cost, once for each batch of a worker.
--
-- KEYS  counts
-- ARGV  1 worker, 2 id of the batch, which no other batch of the worker has, 3 TTL in s, then pairs
--       of name and number
local counts, last = KEYS[1], '@' .. ARGV[1]
-- A worker sends a batch again until it gets a reply.
if redis.call('HGET', counts, last) == ARGV[2] then return end
for i = 4, #ARGV, 2 do redis.call('HINCRBY', counts, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', counts, last, ARGV[2])
redis.call('EXPIRE', counts, ARGV[3])
