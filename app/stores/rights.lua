-- Begins each script that writes. The server takes nothing back of a script that fails: where its
-- user lacks the right to one of the COMMANDS, which Script.named declares, nothing is written.
-- Asking for all in one expression takes half the time of a loop over their names (42 and 19 µs for
-- the 24 of append_events.lua, 2026-11-30); the loop names those that are missing.
if not has_rights(redis.acl_check_cmd, KEYS[1]) then
  local refused = {}
  for name in string.gmatch(COMMANDS, '%u+') do
    if not redis.acl_check_cmd(name, KEYS[1]) then
      refused[#refused + 1] = '+' .. string.lower(name)
    end
  end
  return redis.error_reply('NOPERM its user has no permission for ' .. table.concat(refused, ' '))
end

