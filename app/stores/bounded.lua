-- Functions of scripts that add to sorted sets of bounded length.

-- Returns whether a member stands before another one, by score and then by bytes.
local function is_before(score, member, other_score, other)
  if tonumber(score) ~= tonumber(other_score) then return tonumber(score) < tonumber(other_score) end
  for i = 1, #member do
    local byte, other_byte = string.byte(member, i), string.byte(other, i)
    if byte ~= other_byte then return byte < other_byte end
  end
  return false
end

-- Adds a member to the last `limit` of a set, or raises its score. Returns whether it is there
-- now. The set never holds more, not even within this script: a sorted set that once had more
-- than 128 members keeps another encoding from then on, three times as large.
local function add_bounded(set, limit, score, member)
  if redis.call('ZCARD', set) >= tonumber(limit) and not redis.call('ZSCORE', set, member) then
    local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if is_before(score, member, first[2], first[1]) then return false end
    redis.call('ZREMRANGEBYRANK', set, 0, 0)
  end
  redis.call('ZADD', set, 'GT', score, member)
  return true
end

