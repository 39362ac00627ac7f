#!lua flags=no-writes
-- Finds the counters of a partition that are of another type, which another program stored.
--
-- KEYS  counters' prefix
-- ARGV  first hour, running hour
-- Returns their names.
local prefix, first, running = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local found = {}

local function note(name, reply)
  if type(reply) == 'table' and string.find(reply.err, 'WRONGTYPE', 1, true) then
    found[#found + 1] = name
  end
end

for hour = first, running do
  for _, unit in ipairs({'h', 'b'}) do
    local name = prefix .. unit .. string.format('%d', hour)
    note(name, redis.pcall('HLEN', name))
  end
end
local counted = prefix .. 'u' .. string.format('%d', running)
note(counted, redis.pcall('SCARD', counted))
for minute = (running - 2) * 60, running * 60 + 59 do
  local name = prefix .. 'm' .. string.format('%d', minute)
  note(name, redis.pcall('HLEN', name))
end
return found
