#!lua flags=no-writes
-- Reads one page of the changes after a version, in the order of versions.
--
-- KEYS  sales, pictures, changes, version, generation, vouched
-- ARGV  version, page size
-- Returns the generation, the version that the page reaches, the version at which the catalogue
-- was vouched for, the numbers of sales and of pictures, the server, then pairs of member and value,
-- nil if deleted.
local hashes = {s = KEYS[1], p = KEYS[2]}
local page = redis.call(
  'ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local reached = version_in(KEYS[4])
if #page == 2 * ARGV[2] then reached = page[#page] end
-- Another server after a restart and after every failover; '' where INFO is not allowed.
local function info(section, name)
  local text = redis.pcall('INFO', section)
  return type(text) == 'string' and string.match(text, name .. ':(%x+)') or ''
end
-- Pictures of another type take no change of a sale away.
local n_pictures = redis.pcall('HLEN', KEYS[2])
if type(n_pictures) ~= 'number' then n_pictures = 0 end

local reply = {
  generation_in(KEYS[5], KEYS[4]),
  reached,
  version_in(KEYS[6]),
  redis.call('HLEN', KEYS[1]),
  n_pictures,
  info('server', 'run_id') .. info('replication', 'master_replid')
}
for i = 1, #page, 2 do
  local member = page[i]
  local hash = hashes[string.sub(member, 1, 1)]
  reply[#reply + 1] = member
  reply[#reply + 1] = hash and redis.call('HGET', hash, string.sub(member, 2)) or false
end
return reply
