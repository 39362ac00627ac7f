-- Begins each script that writes. The server takes nothing back of a script that fails: where its
-- user lacks the right to one of the COMMANDS, which Script.named declares, nothing is written.
local refused = {}
for name in string.gmatch(COMMANDS, '%u+') do
  if not redis.acl_check_cmd(name, KEYS[1]) then refused[#refused + 1] = '+' .. string.lower(name) end
end
if #refused > 0 then
  return redis.error_reply('NOPERM its user has no permission for ' .. table.concat(refused, ' '))
end

