-- What scripts begin with that append to streams, which hold a bounded number of bytes.

-- What an entry takes beside its content, about: see tests/contract/test_stream_bytes.py.
local ENTRY_BYTES = 64
-- No append runs long where a limit was lowered: the stream gets there in several of them.
local MAX_DROPPED = 1000

-- Adds an entry to a stream. Its first field `b` is how many bytes were ever written to the
-- stream, with it: what the stream holds is a difference of two of them, whoever removed entries.
local function add_entry(stream, kind, counters, n_bytes, ...)
  local written = redis.call('HINCRBY', counters .. 'written', kind, n_bytes + ENTRY_BYTES)
  redis.call('XADD', stream, '*', 'b', string.format('%.0f', written), ...)
end

-- Drops the oldest entries of a stream that holds more than `limit` bytes; they are counted.
local function drop_oldest(stream, kind, counters, limit)
  local least = redis.call('HGET', counters .. 'written', kind) - limit
  local n_dropped = 0
  while n_dropped < MAX_DROPPED do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    -- Entries of before they were counted in bytes are the oldest, and have another first field.
    local written = oldest[2][1] == 'b' and tonumber(oldest[2][2]) or 0
    if written > least then break end
    redis.call('XTRIM', stream, 'MAXLEN', redis.call('XLEN', stream) - 1)
    n_dropped = n_dropped + 1
  end
  if n_dropped > 0 then redis.call('HINCRBY', counters .. 'lost', kind, n_dropped) end
end

