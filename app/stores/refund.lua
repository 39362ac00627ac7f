-- Functions of scripts about purchases that refunds take back, by the rule of
-- `models.domain.refund`. Members of windows are of `models.domain.customer.pack_member`.

local function kind_of(member) return string.byte(member, 24) % 16 end

local function is_refund(member) return member ~= '' and kind_of(member) == 6 end

-- Returns the hours since the epoch of a window's purchases of a sale that are not taken back
-- whole, as a set, and how many pieces are left of them. One member is passed over.
local function purchases_left(events, sale, passed_over)
  local left = {}
  for i = 1, #events, 2 do
    local member, at = events[i], tonumber(events[i + 1])
    if member ~= passed_over and string.sub(member, 9, 16) == sale then
      local pieces = string.byte(member, 7) * 256 + string.byte(member, 8)
      if kind_of(member) == 4 then
        left[#left + 1] = {hour = math.floor(at / 3600000000), pieces = pieces}
      elseif is_refund(member) then
        if pieces == 0 and #left > 0 then pieces = left[#left].pieces end
        while pieces > 0 and #left > 0 do
          local last = left[#left]
          local taken = math.min(pieces, last.pieces)
          last.pieces, pieces = last.pieces - taken, pieces - taken
          if last.pieces == 0 then left[#left] = nil end
        end
      end
    end
  end
  local hours, n_pieces = {}, 0
  for _, purchase in ipairs(left) do
    hours[purchase.hour] = true
    n_pieces = n_pieces + purchase.pieces
  end
  return hours, n_pieces
end
