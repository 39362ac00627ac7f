#!lua
-- Puts and deletes sales and pictures; each change gets a version of its own.
--
-- KEYS  sales, pictures, changes, version, generation, markets
-- ARGV  the largest number of markets, then
--       pairs of 's' .. sale id or 'p' .. digit .. sale id, and its new value; an empty one deletes
-- Returns the version, the number of changes (what is put as it was is none), the ids of sales
-- that are not there and whose pictures are therefore not kept, and the ids of sales that would
-- have brought the catalogue more markets than it may have and are as they were.
local hashes = {s = KEYS[1], p = KEYS[2]}
local changes, version_key, markets = KEYS[3], KEYS[4], KEYS[6]
local max_markets = tonumber(ARGV[1])
local time = redis.call('TIME')
-- Never below the clock: versions grow even where the store was emptied and filled again.
local stored = tonumber(redis.call('GET', version_key) or '0')
local version = math.max(stored, time[1] * 1000000 + time[2])

local function changed(hash, member, value)
  local id = string.sub(member, 2)
  if value == '' then return redis.call('HDEL', hash, id) == 1 end
  if redis.call('HGET', hash, id) == value and redis.call('ZSCORE', changes, member) then
    return false
  end
  redis.call('HSET', hash, id, value)
  return true
end

local function is_orphan(member, value)
  if string.sub(member, 1, 1) == 's' or value == '' then return false end
  return redis.call('HEXISTS', hashes.s, string.sub(member, 3)) == 0
end

local function count_markets(sale, n)
  local named = sale and sale ~= '' and cjson.decode(sale).markets
  for _, market in ipairs(type(named) == 'table' and named or {}) do
    if redis.call('HINCRBY', markets, market, n) == 0 then redis.call('HDEL', markets, market) end
  end
end

local function has_room(member, value)
  if string.sub(member, 1, 1) ~= 's' then return true end
  local before = redis.call('HGET', hashes.s, string.sub(member, 2))
  if before == value then return true end
  count_markets(before, -1)
  count_markets(value, 1)
  if redis.call('HLEN', markets) <= max_markets then return true end
  count_markets(value, -1)
  count_markets(before, 1)
  return false
end

local n_changes, unknown, refused = 0, {}, {}
for i = 2, #ARGV, 2 do
  local member = ARGV[i]
  if is_orphan(member, ARGV[i + 1]) then
    unknown[#unknown + 1] = string.sub(member, 3)
  elseif not has_room(member, ARGV[i + 1]) then
    refused[#refused + 1] = string.sub(member, 2)
  elseif changed(hashes[string.sub(member, 1, 1)], member, ARGV[i + 1]) then
    n_changes = n_changes + 1
    version = version + 1
    redis.call('ZADD', changes, string.format('%.0f', version), member)
  end
end
if n_changes == 0 then return {stored, 0, unknown, refused} end
redis.call('SET', version_key, string.format('%.0f', version))
-- A version without a generation: the workers know more than this store, see distrust_catalogue.lua.
if stored == 0 then redis.call('SET', KEYS[5], string.format('%.0f', version)) end
return {version, n_changes, unknown, refused}
