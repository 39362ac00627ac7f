-- Functions of scripts that read the scalars of the catalogue. A damaged one counts as absent, and
-- is written anew: it must not freeze the catalogue.

-- Returns the text of a version, '0' if there is none; numbers are exact below 2^53.
local function version_in(key)
  local text = redis.pcall('GET', key)
  local is_version = type(text) == 'string' and string.match(text, '^%d+$') and tonumber(text) < 2^53
  return is_version and text or '0'
end

-- Stored as the generation of an incomplete catalogue: no change has the version 0.
local DISTRUSTED = '0'

-- Returns the generation, '' if the catalogue is distrusted or has no version yet. A lost or damaged
-- one is '0', which no worker knows: workers compare all sales, and vouch for the catalogue if it is
-- whole.
local function generation_in(key, version_key)
  local text = redis.pcall('GET', key)
  local is_new = not text and version_in(version_key) == '0'
  return (text == DISTRUSTED or is_new) and '' or version_in(key)
end

