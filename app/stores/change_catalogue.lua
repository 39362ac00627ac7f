#!lua
-- Puts and deletes sales and pictures; each change gets a version of its own.
--
-- KEYS  sales, pictures, changes, version, generation
-- ARGV  pairs of 's' .. sale id or 'p' .. digit .. sale id, and its new value; an empty one deletes
-- Returns the version, the number of changes (what is put as it was is none), and the ids of sales
-- that are not there and whose pictures are therefore not kept.
local hashes = {s = KEYS[1], p = KEYS[2]}
local changes, version_key = KEYS[3], KEYS[4]
local time = redis.call('TIME')
-- Never below the clock: versions grow even where the store was emptied and filled again.
local stored = tonumber(redis.call('GET', version_key) or '0')
local version = math.max(stored, time[1] * 1000000 + time[2])

local function changed(hash, id, value)
  if value == '' then return redis.call('HDEL', hash, id) == 1 end
  if redis.call('HGET', hash, id) == value then return false end
  redis.call('HSET', hash, id, value)
  return true
end

local function is_orphan(member, value)
  if string.sub(member, 1, 1) == 's' or value == '' then return false end
  return redis.call('HEXISTS', hashes.s, string.sub(member, 3)) == 0
end

local n_changes, unknown = 0, {}
for i = 1, #ARGV, 2 do
  local member = ARGV[i]
  if is_orphan(member, ARGV[i + 1]) then
    unknown[#unknown + 1] = string.sub(member, 3)
  elseif changed(hashes[string.sub(member, 1, 1)], string.sub(member, 2), ARGV[i + 1]) then
    n_changes = n_changes + 1
    version = version + 1
    redis.call('ZADD', changes, string.format('%.0f', version), member)
  end
end
if n_changes == 0 then return {stored, 0, unknown} end
redis.call('SET', version_key, string.format('%.0f', version))
redis.call('SETNX', KEYS[5], string.format('%.0f', version))
return {version, n_changes, unknown}
