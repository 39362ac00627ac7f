#!lua
-- Puts and deletes sales and pictures; each change gets the next version.
--
-- KEYS  sales, pictures, changes, version, generation, markets, attributes
-- ARGV  the largest numbers of markets and of attributes, then
--       pairs of 's' .. sale id or 'p' .. digit .. sale id, and its new value; an empty one deletes;
--       'u' .. digit .. sale id and the value of a picture to delete if it has this value still
-- Returns the version, the number of changes (an equal value is none), the ids of unknown sales,
-- whose pictures are not stored, and the ids of sales that are left as they were because the
-- catalogue would have too many markets, and because it would have too many attributes.
local hashes = {s = KEYS[1], p = KEYS[2]}
local changes, version_key = KEYS[3], KEYS[4]
local counts = {markets = KEYS[6], attributes = KEYS[7]}
local limits = {markets = tonumber(ARGV[1]), attributes = tonumber(ARGV[2])}
local time = redis.call('TIME')
-- Never below the clock: versions grow even where the store was emptied and filled again.
local stored = tonumber(version_in(version_key))
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

-- The names of a kind that a sale has, each once.
local function names_of(sale, kind)
  local named = {}
  for place, value in pairs(type(sale[kind]) == 'table' and sale[kind] or {}) do
    named[tostring(kind == 'attributes' and place or value)] = true
  end
  return named
end

local function count(counts, names, others, n)
  for name in pairs(names) do
    if not others[name] then
      if add(counts, name, n) <= 0 then redis.call('HDEL', counts, name) end
    end
  end
end

-- An unreadable sale has no names: it is replaced like any other.
local function decoded(sale)
  local is_json, fields = pcall(cjson.decode, sale or '')
  return is_json and type(fields) == 'table' and fields or {}
end

-- Counts the names of a changed sale in place of those that it had; false if they are too many.
local function counted(before, after, kind)
  local old, new = names_of(before, kind), names_of(after, kind)
  local most = math.max(limits[kind], redis.call('HLEN', counts[kind]))
  count(counts[kind], old, new, -1)
  count(counts[kind], new, old, 1)
  if redis.call('HLEN', counts[kind]) <= most then return true end
  count(counts[kind], new, old, -1)
  count(counts[kind], old, new, 1)
  return false
end

-- Returns the kind of which a changed sale would have too many names, nil for none.
local function too_many(member, value)
  if string.sub(member, 1, 1) ~= 's' then return nil end
  local stored = redis.call('HGET', hashes.s, string.sub(member, 2))
  if stored == value then return nil end
  local before, after = decoded(stored), decoded(value)
  if not counted(before, after, 'markets') then return 'markets' end
  if counted(before, after, 'attributes') then return nil end
  counted(after, before, 'markets')
  return 'attributes'
end

local n_changes, unknown, refused = 0, {}, {markets = {}, attributes = {}}
for i = 3, #ARGV, 2 do
  local member, value = ARGV[i], ARGV[i + 1]
  local is_mended = false
  if string.sub(member, 1, 1) == 'u' then
    member = 'p' .. string.sub(member, 2)
    is_mended = redis.call('HGET', hashes.p, string.sub(member, 2)) ~= value
    value = ''
  end
  if is_mended then
    -- It was put anew since it was found unreadable: it stays.
  elseif is_orphan(member, value) then
    unknown[#unknown + 1] = string.sub(member, 3)
  else
    local kind = too_many(member, value)
    if kind then
      table.insert(refused[kind], string.sub(member, 2))
    elseif changed(hashes[string.sub(member, 1, 1)], member, value) then
      n_changes = n_changes + 1
      version = version + 1
      redis.call('ZADD', changes, string.format('%.0f', version), member)
    end
  end
end
if n_changes == 0 then return {stored, 0, unknown, refused.markets, refused.attributes} end
redis.call('SET', version_key, string.format('%.0f', version))
-- Only of an empty store: a generation that is lost, or distrusted, is made anew by who vouches.
if stored == 0 then redis.call('SET', KEYS[5], string.format('%.0f', version)) end
return {version, n_changes, unknown, refused.markets, refused.attributes}
