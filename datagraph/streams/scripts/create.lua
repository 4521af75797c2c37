--!use names streams ending
-- Write a run down, whole or not at all. ARGV: spec as JSON, nonce, packed {nodes, streams, paused, ttl, ended_ttl, name}.
-- Answers when that was (ms), or nil where another run has the id. A repeat by the same caller (the same nonce, after a lost answer) changes nothing.
if call('EXISTS', KEYS[1]) == 1 then
  return call('HGET', KEYS[1], 'nonce') == ARGV[2] and call('HGET', KEYS[1], 'created')
end
local spec = cmsgpack.unpack(ARGV[3])
local nodes, streams, left = {}, {}, 0

empty_stream(PREFIX .. 'log')
empty_stream(PREFIX .. 'clock')
for _, node in ipairs(spec[1]) do
  local name, inputs, outputs, kind, counts = unpack(node)
  nodes[#nodes + 1] = name
  left = left + counts
  call('HSET', key('n', name), 'epoch', 0, 'owner', '', 'status', 'waiting', 'kind', kind, 'counts', counts,
    'in', cmsgpack.pack(inputs), 'outs', cmsgpack.pack(outputs))
  call('HSET', key('m', name), 'v', 1)
  empty_stream(key('out', name))
  empty_stream(key('dead', name))
end
for _, stream in ipairs(spec[2]) do
  local name, writer, private, keep, readers = unpack(stream)
  streams[#streams + 1] = name
  call('HSET', key('t', name), 'n', 0, 'b', 0, 'x', 0, 'first', 0, 'low', 0, 'keep', keep, 'ended', 0,
    'writer', writer, 'private', private, 'r', cmsgpack.pack(readers))
  empty_stream(key('s', name))
end
local time = now()
-- The empty names keep these two from vanishing, and their expiry with them, when the last worker leaves.
call('HSET', PREFIX .. 'sessions', '', 0)
call('HSET', PREFIX .. 'reports', '', '{}')
call('HSET', KEYS[1], 'spec', ARGV[1], 'nonce', ARGV[2], 'status', 'running', 'paused', spec[3], 'stopping', 0,
  'paused_nodes', '', 'error', '', 'created', time, 'ended', 0, 'renewed', time, 'left', left,
  'ttl', spec[4], 'ended_ttl', spec[5], 'names', cmsgpack.pack({nodes, streams}))
expire_all('ttl')
say('RunStarted', 'name', spec[6])
return format('%d', time)
