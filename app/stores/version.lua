-- Functions of scripts that read the scalars of the catalogue. A damaged one counts as absent, and
-- is written anew: it must not freeze the catalogue.

-- Returns the text of a version, '0' if there is none; numbers are exact below 2^53.
local function version_in(key)
  local text = redis.pcall('GET', key)
  local is_version = type(text) == 'string' and string.match(text, '^%d+$') and tonumber(text) < 2^53
  return is_version and text or '0'
end

-- Returns the generation, '' if there is none. A damaged one is '0', which no worker knows: workers
-- compare all sales, and vouch for the catalogue if it is whole.
local function generation_in(key)
  return redis.call('EXISTS', key) == 1 and version_in(key) or ''
end

