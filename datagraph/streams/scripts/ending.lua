-- Part of other scripts: what concerns the whole run. `names` in its hash lists its nodes and streams, `gone` those that
-- were dropped by rewires and are done, so every key it can have is known without a search.
local function every_key()
  local keys = {}
  for _, kind in ipairs({'run', 'log', 'clock', 'sessions', 'reports', 'edits', 'asks', 'answers'}) do
    keys[#keys + 1] = PREFIX .. kind
  end
  for _, field in ipairs({'names', 'gone'}) do
    local nodes, streams = unpack(unpacked(call('HGET', KEYS[1], field)))
    for _, node in ipairs(nodes or {}) do
      for _, kind in ipairs({'n', 'm', 'out', 'dead'}) do keys[#keys + 1] = key(kind, node) end
    end
    for _, stream in ipairs(streams or {}) do
      keys[#keys + 1] = key('s', stream)
      keys[#keys + 1] = key('t', stream)
    end
  end
  return keys
end

local function expire_all(field)
  local seconds = call('HGET', KEYS[1], field)
  for _, name in ipairs(every_key()) do call('EXPIRE', name, seconds) end
end

-- A key that was made just now expires with the run.
local function expire_new(name)
  local status = call('HGET', KEYS[1], 'status')
  call('EXPIRE', name, call('HGET', KEYS[1], status == 'running' and 'ttl' or 'ended_ttl'))
end

local function tell_all(what)
  for _, worker in ipairs(call('HKEYS', PREFIX .. 'sessions')) do
    if worker ~= '' and not notify(worker, what) then call('HDEL', PREFIX .. 'sessions', worker) end
  end
end

local function finish(status, error)
  call('HSET', KEYS[1], 'status', status, 'ended', now(), 'error', error)
  expire_all('ended_ttl')
  tell_all('run')
  say('RunEnded', 'status', status, 'error', report_of(error).message or '')
end

-- The store lost what a worker knows it wrote or read, so nobody may go on from what he remembers: every epoch goes up,
-- to the clock, so that none comes twice even if this is lost as well, and what shared nodes' workers had in hand is free.
local function rewind()
  local time = now()
  for _, name in ipairs(cmsgpack.unpack(call('HGET', KEYS[1], 'names'))[1]) do
    local record = key('n', name)
    local found = call('HMGET', record, 'epoch', 'ranges')
    call('HSET', record, 'epoch', format('%d', math.max(found[1] + 1, time)), 'owner', '')
    local ranges = unpacked(found[2])
    for _, range in ipairs(ranges) do range[2], range[3] = '', 0 end
    if #ranges > 0 then call('HSET', record, 'ranges', cmsgpack.pack(ranges)) end
  end
  call('HSET', KEYS[1], 'rewound', format('%d', time))
  tell_all('run')
end

-- The part of the run's record that changes, as `valkey_wire.run_record` reads it.
local function run_state()
  return call('HMGET', KEYS[1], 'status', 'paused', 'stopping', 'paused_nodes', 'error', 'created', 'ended', 'rewound',
    'wiring', 'asked')
end
