-- What scripts begin with that read what a customer was shown.

-- Packs a sorted set of sale keys (8 bytes) with their seconds (4 bytes, big-endian).
local function packed_shown(shown)
  local scored, packed = redis.call('ZRANGE', shown, 0, -1, 'WITHSCORES'), {}
  for i = 1, #scored, 2 do
    packed[#packed + 1] = scored[i] .. struct.pack('>I4', tonumber(scored[i + 1]))
  end
  return table.concat(packed)
end

