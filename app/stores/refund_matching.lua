-- Functions of scripts that match refunds with purchases, by the rule of
-- `models.domain.refund_matching`. Members of windows are of `models.domain.customer.pack_member`.
local PURCHASE, REFUND = 4, 6

-- A damaged member may be shorter: it has a kind that nothing looks for.
local function kind_of(member) return (string.byte(member, 24) or 15) % 16 end

local function is_purchase(member) return member ~= '' and kind_of(member) == PURCHASE end

local function is_refund(member) return member ~= '' and kind_of(member) == REFUND end

-- Takes pieces from the last purchases of a stack, 0 for all of the last one. Returns its height.
local function take_pieces(stack, height, pieces)
  if pieces == 0 and height > 0 then pieces = stack[height] end
  while pieces > 0 and height > 0 do
    local taken = math.min(pieces, stack[height])
    stack[height], pieces = stack[height] - taken, pieces - taken
    if stack[height] == 0 then height = height - 1 end
  end
  return height
end

local function hours_of(stack, height, hours)
  local found, n_pieces = {}, 0
  for i = 1, height do
    found[hours[i]] = true
    n_pieces = n_pieces + stack[i]
  end
  return found, n_pieces
end

-- Of each member once for all refunds of a call, which all read the window.
local parsed = {}

local function parse(member)
  local kind, event = kind_of(member), {}
  if kind == PURCHASE or kind == REFUND then
    local pieces = string.byte(member, 7) * 256 + string.byte(member, 8)
    -- Its time in µs, times 16; in two parts, as numbers are exact below 2^53.
    local high, low = struct.unpack('>I4I4', member, 17)
    local hour = math.floor((high * 2^28 + math.floor(low / 16)) / 3600000000)
    event = {sale = string.sub(member, 9, 16), is_purchase = kind == PURCHASE}
    event.pieces, event.hour = pieces, hour
  end
  parsed[member] = event
  return event
end

-- Returns the hours since the epoch of a window's purchases of a sale that are not fully refunded,
-- as a set: without one refund and with it; and whether this refund took anything.
local function purchases_left(events, sale, refund)
  -- Stacks of pieces, and the hours of each; numbers alone, as this runs for each refund of a batch.
  local before, before_hours, n_before = {}, {}, 0
  local after, after_hours, n_after = {}, {}, 0
  for _, member in ipairs(events) do
    local event = parsed[member] or parse(member)
    if event.sale == sale then
      if event.is_purchase then
        n_before, n_after = n_before + 1, n_after + 1
        before[n_before], before_hours[n_before] = event.pieces, event.hour
        after[n_after], after_hours[n_after] = event.pieces, event.hour
      else
        if member ~= refund then n_before = take_pieces(before, n_before, event.pieces) end
        n_after = take_pieces(after, n_after, event.pieces)
      end
    end
  end
  local hours_before, pieces_before = hours_of(before, n_before, before_hours)
  local hours_after, pieces_after = hours_of(after, n_after, after_hours)
  return hours_before, hours_after, pieces_after < pieces_before
end
