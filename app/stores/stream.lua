-- Functions of scripts that append to streams of a bounded number of bytes.

-- Bytes of an entry beside its content, measured by tests/contract/test_stream_bytes.py.
local ENTRY_BYTES = 64
-- Bounds the time of one append where a limit was lowered: several appends reach the new limit.
local MAX_DROPPED = 1000

-- Adds an entry to a stream. Its first field `b` is the bytes ever written to the stream, this
-- entry included: the bytes held are a difference of two of them, also after an export trims.
local function add_entry(stream, kind, counters, n_bytes, ...)
  local n_more = n_bytes + ENTRY_BYTES
  local written = add(counters .. 'written', kind, n_more)
  -- The count was lost: go on from the newest entry, which holds it.
  local newest = written == n_more and redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if newest and newest[2][1] == 'b' then
    written = tonumber(newest[2][2]) + n_more
    redis.call('HSET', counters .. 'written', kind, string.format('%.0f', written))
  end
  redis.call('XADD', stream, '*', 'b', string.format('%.0f', written), ...)
end

-- Drops the oldest entries of a stream that holds more than `limit` bytes; they are counted.
local function drop_oldest(stream, kind, counters, limit)
  local least = redis.call('HGET', counters .. 'written', kind) - limit
  local n_dropped = 0
  while n_dropped < MAX_DROPPED do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    -- Entries from before bytes were counted are the oldest, and have another first field.
    local written = oldest[2][1] == 'b' and tonumber(oldest[2][2]) or 0
    if written > least then break end
    redis.call('XTRIM', stream, 'MAXLEN', redis.call('XLEN', stream) - 1)
    n_dropped = n_dropped + 1
  end
  if n_dropped > 0 then add(counters .. 'lost', kind, n_dropped) end
end

