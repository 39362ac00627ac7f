-- Functions of scripts that know the events of a customer received in the last days.

-- A repetition is recognised for at least so many days after its event was received.
local RECENT_DAYS = 2

-- Returns the names of the sets that hold a customer's event keys, one per day of reception, as
-- integers: up to 512 of them take 8 bytes each. The day after today is read too: after a
-- failover the new server's clock may be behind.
local function recent_key_sets(recent, today)
  local names = {}
  for day = today - RECENT_DAYS, today + 1 do
    names[#names + 1] = recent .. ':' .. string.format('%d', day)
  end
  return names
end

-- Returns the number of members that a command counted, 0 where it met what another program stored.
local function counted_by(reply) return type(reply) == 'number' and reply or 0 end

local function n_recent_keys(sets)
  local n = 0
  for _, set in ipairs(sets) do n = n + counted_by(redis.pcall('SCARD', set)) end
  return n
end

