-- Functions of scripts that match refunds with purchases, by the rule of
-- `models.domain.refund_matching`. Members of windows are of `models.domain.customer.pack_member`.
local PURCHASE, REFUND = 4, 6

-- A damaged member may be shorter: it has a kind that nothing looks for.
local function kind_of(member) return (string.byte(member, 24) or 15) % 16 end

local function is_purchase(member) return member ~= '' and kind_of(member) == PURCHASE end

local function is_refund(member) return member ~= '' and kind_of(member) == REFUND end

local function take_pieces(left, pieces)
  if pieces == 0 and #left > 0 then pieces = left[#left].pieces end
  while pieces > 0 and #left > 0 do
    local last = left[#left]
    local taken = math.min(pieces, last.pieces)
    last.pieces, pieces = last.pieces - taken, pieces - taken
    if last.pieces == 0 then left[#left] = nil end
  end
end

local function hours_of(left)
  local hours, n_pieces = {}, 0
  for _, purchase in ipairs(left) do
    hours[purchase.hour] = true
    n_pieces = n_pieces + purchase.pieces
  end
  return hours, n_pieces
end

-- Returns the hours since the epoch of a window's purchases of a sale that are not fully refunded,
-- as a set: without one refund and with it; and whether this refund took anything.
local function purchases_left(events, sale, refund)
  local before, after = {}, {}
  for i = 1, #events, 2 do
    local member = events[i]
    local kind = kind_of(member)
    if (kind == PURCHASE or kind == REFUND) and string.sub(member, 9, 16) == sale then
      local pieces = string.byte(member, 7) * 256 + string.byte(member, 8)
      if kind == PURCHASE then
        local hour = math.floor(tonumber(events[i + 1]) / 3600000000)
        before[#before + 1] = {hour = hour, pieces = pieces}
        after[#after + 1] = {hour = hour, pieces = pieces}
      else
        if member ~= refund then take_pieces(before, pieces) end
        take_pieces(after, pieces)
      end
    end
  end
  local hours_before, n_before = hours_of(before)
  local hours_after, n_after = hours_of(after)
  return hours_before, hours_after, n_after < n_before
end
