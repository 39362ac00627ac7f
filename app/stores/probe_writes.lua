#!lua
-- Writes a probe to a partition, where the store's user has all rights to keys of every kind.
--
-- KEYS  probe
-- ARGV  1 lifetime in s; then what each kind of key begins with
for i = 2, #ARGV do
  if not redis.acl_check_cmd('SET', ARGV[i] .. ':probe') then
    return redis.error_reply('NOPERM its user has no permission for ~' .. ARGV[i] .. ':*')
  end
end
redis.call('SET', KEYS[1], 1, 'EX', ARGV[1])
