--!use names streams ending
-- Move dead letters to their node's private stream, and open again what had ended on the way from there.
-- ARGV: nonce, node, then the id of each letter, its payload, a frame of one value, and its origin (the caller has taken
-- both out of the letter: cmsgpack cannot read binary strings). Answers {'OK', how many}; a repeat has the nonce that is stored, and gets
-- the same answer.
local nonce, node = ARGV[1], ARGV[2]
local run, record = call('HGET', KEYS[1], 'status'), key('n', node)
if not run then return {'GONE'} end
if call('EXISTS', record) == 0 then return missing(1, node) end
if call('HGET', record, 'reopened') == nonce then return {'OK', tonumber(call('HGET', record, 'returned'))} end

local dead, chosen = key('dead', node), {}
for i = 3, #ARGV, 3 do
  if #call('XRANGE', dead, ARGV[i], ARGV[i]) == 1 then chosen[#chosen + 1] = i end
end
if #chosen == 0 then return {'OK', 0} end
if run == 'failed' or run == 'cancelled' then return {'ENDED', run} end

local private = '~' .. node
local names = cmsgpack.unpack(call('HGET', KEYS[1], 'names'))
if call('EXISTS', key('t', private)) == 0 then
  for _, known in ipairs(names[2]) do
    if known == private then return missing(2, private) end
  end
  empty_stream(key('s', private))
  call('HSET', key('t', private), 'n', 0, 'b', 0, 'x', 0, 'first', 0, 'low', 0, 'keep', 10000, 'ended', 0, 'writer', '',
    'private', 1, 'r', cmsgpack.pack({{node, private, 0, 0, 1000, 64 * 2 ^ 20, 2, 2}}))
  local inputs = unpacked(call('HGET', record, 'in'))
  table.insert(inputs, 1, {private, private})
  call('HSET', record, 'in', cmsgpack.pack(inputs))
end

local s = load(private)
for _, i in ipairs(chosen) do
  s.n, s.b, s.entries = s.n + 1, s.b + #ARGV[i + 1], s.entries + 1
  call('XADD', key('s', private), format('%d-0', s.n), 'c', 1, 'p', ARGV[i + 1], 'o', ARGV[i + 2])
  call('XDEL', dead, ARGV[i])
end
for _, field in ipairs({'n', 'b'}) do change(s, field, s[field]) end
change(s, 'x', s.entries)

-- A node that was done may write again: then its outputs go on, and so do those who read them.
local function open(name)
  local counts, status, outputs, inputs = unpack(call('HMGET', key('n', name), 'counts', 'status', 'outs', 'in'))
  if status ~= 'done' then return end
  call('HSET', key('n', name), 'status', 'waiting')
  -- It was dropped, perhaps, and comes back.
  add(names[1], name)
  for _, pair in ipairs(unpacked(inputs)) do add(names[2], pair[2]) end
  for _, output in ipairs(unpacked(outputs)) do add(names[2], output) end
  call('HINCRBY', KEYS[1], 'left', counts)
  local own = load('~' .. name)
  if own then
    for _, r in ipairs(own.readers) do r[HOLDS] = r[DECLARED] end
    change(own, 'r', cmsgpack.pack(own.readers))
  end
  for _, output in ipairs(unpacked(outputs)) do
    local out = load(output)
    out.ended = false
    change(out, 'ended', 0)
    for _, r in ipairs(out.readers) do
      if not has_stopped(r) then open(r[NODE]) end
      r[HOLDS] = r[DECLARED]
    end
    change(out, 'r', cmsgpack.pack(out.readers))
  end
end

open(node)
add(names[2], private)
call('HSET', KEYS[1], 'names', cmsgpack.pack(names))
tell_readers(s, '')
save_streams()
call('HSET', record, 'reopened', nonce, 'returned', #chosen)
if run == 'completed' then
  call('HSET', KEYS[1], 'status', 'running', 'ended', 0)
  say('RunResumed')
end
expire_all('ttl')
wake_takers(node, private)
tell_all('run')
return {'OK', #chosen}
