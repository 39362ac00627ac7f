-- Functions of scripts that read sorted sets of members of one length.

-- Returns the members joined, and the number of damaged ones, which are left out. `lengths` are those
-- of a member and, where the reply has them, of its score.
local function joined(flat, lengths)
  local n_bytes = 0
  for _, length in ipairs(lengths) do n_bytes = n_bytes + length end
  local all, n_members = table.concat(flat), #flat / #lengths
  if #all == n_bytes * n_members then return all, 0 end
  local whole = {}
  for i = 1, #flat, #lengths do
    local member = table.concat(flat, '', i, i + #lengths - 1)
    if #member == n_bytes then whole[#whole + 1] = member end
  end
  return table.concat(whole), n_members - #whole
end

