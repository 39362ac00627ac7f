#!lua
-- Replaces the counts of loaded history of one hour; in one script, so that no reader sees the
-- hour without its counts.
--
-- KEYS  hour
-- ARGV  expiry in s since the epoch, then pairs of field and count
redis.call('DEL', KEYS[1])
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIREAT', KEYS[1], ARGV[1])
