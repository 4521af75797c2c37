--!use names streams ending
-- Change the wiring of a run, whole or not at all (`Session.rewire` says what it means). ARGV[1]: the change, packed
-- (`valkey_rewire.pack_rewire` says how); then the spec as JSON, the note, the events.
-- Answers {'OK', version, positions of the cuts, positions of the joins}. A repeat finds its nonce in the list of changes.
-- Records are loaded and changed in this script's memory only, so whatever refuses the change does so before any write.
local NOW, CLAIMED, FIRST_CUT, KEPT = -1, -2, -10, 1000
local change_made = cmsgpack.unpack(ARGV[1])
local nonce, version, nodes, streams, cuts, joins, added, struck, fresh, events = unpack(change_made)
local edits = PREFIX .. 'edits'

local run = call('HMGET', KEYS[1], 'status', 'wiring', 'names', 'gone')
if not run[1] then return {'GONE'} end
local wiring, names, gone = tonumber(run[2] or 0), cmsgpack.unpack(run[3]), unpacked(run[4] or cmsgpack.pack({{}, {}}))
if wiring > version then
  local since = call('XREVRANGE', edits, '+', '-', 'COUNT', wiring - version)
  local entry = since[wiring - version]
  if entry and entry[2][6] == nonce then return {'OK', version + 1, unpack(cmsgpack.unpack(entry[2][8]))} end
end
if wiring ~= version then return {'WIRING', format('%d', wiring)} end

local function refused(why, ...)
  return {'REFUSED', format(why, ...)}
end

if run[1] ~= 'running' then return refused('it has %s', run[1]) end

local function set_of(...)
  local set = {}
  for _, list in ipairs({...}) do
    for _, item in ipairs(list) do set[item] = true end
  end
  return set
end

local known_nodes, known_streams = set_of(names[1], gone[1]), set_of(names[2], gone[2])
local is_added, is_fresh, in_spec = set_of(added), set_of(fresh), {}

-- A node as the store has it; one that it has not yet reads nothing. nil where its record is lost.
local records = {}
local function record_of(name)
  local record = records[name]
  if record then return record end
  if known_nodes[name] then
    local h = call('HMGET', key('n', name), 'status', 'in', 'kind', 'ranges', 'marks', 'epoch')
    if not h[1] then return nil end
    record = {
      status = h[1], inputs = unpacked(h[2]), kind = h[3], ranges = unpacked(h[4]), marks = unpacked(h[5]),
      epoch = tonumber(h[6]), known = true, drops = {},
    }
  else
    record = {status = 'waiting', inputs = {}, ranges = {}, marks = {}, drops = {}}
  end
  records[name] = record
  return record
end

-- The stream that a node's segment reads, the reader's entry, the node, and the segment's place among its inputs.
local function find(node, segment)
  local record = record_of(node)
  for i, pair in ipairs(record and record.inputs or {}) do
    if pair[1] == segment then
      local s = load(pair[2])
      return s, s and reader(s, node, segment), record, i
    end
  end
end

-- Nodes: those of the spec are there, or are new and said to be; what a worker has in hand it keeps.
for _, node in ipairs(nodes) do
  local name, _, _, kind = unpack(node)
  local record = record_of(name)
  if not record then return missing(1, name) end
  in_spec[name] = node
  if not record.known and not is_added[name] then return refused('node %s is new, and not among the added', name) end
  if record.known and is_added[name] and record.status ~= 'done' then
    return refused('node %s is %s, so it cannot begin again', name, record.status)
  end
  record.turns = record.known and (record.kind == 'own') ~= (kind == 'own')
  if record.known and record.kind ~= kind and #record.ranges > 0 then
    return refused('workers have values of node %s in hand, so it stays as it is shared', name)
  end
  for _, mark in pairs(record.marks) do
    if record.turns and not is_fresh[name] and string.sub(mark, 1, 2) ~= '0 ' then
      return refused('node %s has written since its resume point, so it stays as it is shared', name)
    end
  end
end
for _, list in ipairs({added, fresh}) do
  for _, name in ipairs(list) do
    if not in_spec[name] then return refused('node %s is not in the spec of the change', name) end
  end
end

-- Streams: those there are have the writer that they had.
local created = {}
for _, stream in ipairs(streams) do
  local name, writer, private, keep, readers = unpack(stream)
  if known_streams[name] then
    local s = load(name)
    if not s then return missing(2, name) end
    if s.writer ~= writer then return refused('stream %s is written by %s, not by %s', name, s.writer, writer) end
  else
    loaded[name] = {
      name = name, n = 0, b = 0, entries = 0, readers = readers, blocked = '', subs = '', first = 0, keep = keep,
      low = 0, ended = false, writer = writer, private = private, changes = {},
    }
    created[name] = loaded[name]
  end
end
for name, node in pairs(in_spec) do
  for _, output in ipairs(node[3]) do
    local s = load(output)
    if not s then return missing(2, output) end
    if s.writer ~= name then return refused('stream %s is written by %s, not by %s', output, s.writer, name) end
  end
end

local touched, awake, found_cuts, found_joins = {}, {}, {}, {}
local function touch(s, node)
  touched[s.name] = s
  awake[#awake + 1] = {node, s.name}
end

-- What a node that begins again has read and does not list is struck with the others.
for _, name in ipairs(added) do
  local kept = {}
  for _, pair in ipairs(in_spec[name][2]) do kept[pair[1]] = true end
  for _, pair in ipairs(struck) do kept[pair[1] == name and pair[2]] = true end
  for _, pair in ipairs(record_of(name).inputs) do
    if not kept[pair[1]] and not is_private(pair[2]) then struck[#struck + 1] = {name, pair[1]} end
  end
end

for i, cut in ipairs(cuts) do
  local node, segment, at = unpack(cut)
  local s, r, record = find(node, segment)
  if not r then return {'UNKNOWN', 'port ' .. segment .. ' of node ' .. node} end
  local claimed = record.kind ~= 'own' and tonumber(call('HGET', key('n', node), 'claimed:' .. segment) or 0)
  local least, most = math.max(r[CURSOR], claimed or 0), stop_of(r) or s.n
  if at == CLAIMED and not claimed then return refused('node %s is not shared, so nothing of it is claimed', node) end
  if at == NOW or at == CLAIMED then at = math.min(at == NOW and s.n or least, most) end
  if at < least or at > most then
    return refused('port %s of node %s can stop at %d to %d of stream %s, not at %d', segment, node, least, most, s.name, at)
  end
  r[UNTIL] = at
  bound(r)
  touch(s, node)
  found_cuts[i] = {at, s}
end

for _, pair in ipairs(struck) do
  local node, segment = unpack(pair)
  local s, r, record, place = find(node, segment)
  if not r then return {'UNKNOWN', 'port ' .. segment .. ' of node ' .. node} end
  local open = r[HOLDS] ~= FREE
  for _, range in ipairs(record.ranges) do open = open or range[4] == segment end
  if open then return refused('port %s of node %s has more of stream %s to read', segment, node, s.name) end
  for j, other in ipairs(s.readers) do
    if other == r then table.remove(s.readers, j) end
  end
  table.remove(record.inputs, place)
  record.before = (record.before or 0) + r[CURSOR] - (r[FROM] or 0)
  for _, field in ipairs({'c:', 'claimed:'}) do record.drops[#record.drops + 1] = field .. segment end
  touch(s, node)
end

local function trimmed(s, at)
  return {'TRIMMED', s.name, format('%d', at), format('%d', s.first)}
end

for i, join in ipairs(joins) do
  local node, segment, stream, at, capacity, capacity_bytes, hold = unpack(join)
  local s = load(stream)
  if not s then return missing(2, stream) end
  if not in_spec[node] then return refused('node %s is not in the spec of the change', node) end
  if record_of(node).status == 'done' and not is_added[node] then
    return refused('node %s is done, so it reads no more unless it is added', node)
  end
  local r = reader(s, node, segment)
  if find(node, segment) or r and not created[stream] then
    return refused('node %s has read as port %s already', node, segment)
  end
  if at == NOW then
    at = s.n
  elseif at <= FIRST_CUT then
    local cut = found_cuts[FIRST_CUT - at + 1]
    if not cut or cut[2] ~= s then return refused('stream %s has no cut %d', stream, FIRST_CUT - at) end
    at = cut[1]
  end
  if at < 0 or at > s.n then return refused('stream %s has %d values, none at %d', stream, s.n, at) end
  if at < s.first then return trimmed(s, at) end
  if not r then
    r = {node, segment}
    s.readers[#s.readers + 1] = r
  end
  r[CURSOR], r[SIZE], r[CAPACITY], r[CAPACITY_BYTES] = at, size_at(s, at), capacity, capacity_bytes
  r[HOLDS], r[DECLARED], r[UNTIL], r[FROM] = hold, hold, -1, at
  touch(s, node)
  found_joins[i] = {at, r}
end

-- Inputs: what a node of the spec reads is what it lists, behind what brings its dead letters back.
for name, node in pairs(in_spec) do
  local record, inputs, listed = record_of(name), {}, {}
  local function list(pair)
    if not listed[pair[1]] then inputs[#inputs + 1] = pair end
    listed[pair[1]] = true
  end
  for _, pair in ipairs(record.inputs) do
    if is_private(pair[2]) then list(pair) end
  end
  for _, pair in ipairs(node[2]) do
    local s = load(pair[2])
    if not s then return missing(2, pair[2]) end
    if not reader(s, name, pair[1]) then
      return refused('node %s does not read stream %s as port %s, and no join says so', name, pair[2], pair[1])
    end
    list(pair)
  end
  for _, pair in ipairs(record.inputs) do
    if not listed[pair[1]] then
      return refused('port %s of node %s is neither in the spec nor struck', pair[1], name)
    end
  end
  record.inputs = inputs
end

-- Nodes that begin again: they read on what was not cut, and so do those behind them that had read to the end.
local left = 0
local function begin(name)
  local node, record = in_spec[name], record_of(name)
  if not node or record.status ~= 'done' then return end
  record.status = 'waiting'
  left = left + tonumber(call('HGET', key('n', name), 'counts'))
  for _, output in ipairs(node[3]) do
    local s = load(output)
    if s.ended then change(s, 'ended', 0) end
    s.ended, touched[output] = false, s
    for _, r in ipairs(s.readers) do
      if not has_stopped(r) then begin(r[NODE]) end
      if in_spec[r[NODE]] then r[HOLDS] = r[DECLARED] end
    end
  end
end

for _, name in ipairs(added) do
  local again = record_of(name).known
  begin(name)
  for _, pair in ipairs(again and record_of(name).inputs or {}) do
    local s = load(pair[2])
    local r = reader(s, name, pair[1])
    r[HOLDS], touched[s.name] = r[DECLARED], s
    if r[HOLDS] ~= FREE and r[CURSOR] < s.first then return trimmed(s, r[CURSOR]) end
  end
end

-- From here on everything is applied.
local made = {edits}
for _, node in ipairs(nodes) do
  local name, _, outputs, kind, counts = unpack(node)
  local record_key, record = key('n', name), records[name]
  if not record.known then
    left = left + counts
    call('HSET', record_key, 'epoch', 0, 'owner', '', 'counts', counts)
    call('HSET', key('m', name), 'v', 1)
    empty_stream(key('out', name))
    empty_stream(key('dead', name))
    for _, each in ipairs({'n', 'm', 'out', 'dead'}) do made[#made + 1] = key(each, name) end
  end
  call('HSET', record_key, 'status', record.status, 'kind', kind, 'in', cmsgpack.pack(record.inputs),
    'outs', cmsgpack.pack(outputs))
  if is_added[name] then call('HSET', record_key, 'error', '') end
  if record.known and (record.turns or is_fresh[name]) then call('HSET', record_key, 'epoch', format('%d', record.epoch + 1)) end
  if is_fresh[name] then
    local memory = key('m', name)
    for _, field in ipairs(call('HKEYS', memory)) do
      if field ~= 'v' then call('HDEL', memory, field) end
    end
    call('HSET', record_key, 'marks', '', 'stateful', 0)
    for _, pair in ipairs(record.inputs) do
      local r = reader(load(pair[2]), name, pair[1])
      call('HSET', record_key, 'c:' .. pair[1], format('%d %d', r[CURSOR], r[SIZE]))
    end
  end
  if record.known and not record.turns and kind ~= 'own' then
    -- Workers come and go with every change of it.
    for _, field in ipairs(call('HKEYS', record_key)) do
      local worker = string.match(field, '^seq:(.*)')
      if worker and call('HEXISTS', PREFIX .. 'sessions', worker) == 0 then call('HDEL', record_key, field) end
    end
  end
  if record.turns then
    -- Whoever owned it must claim it again; its resume point is how far it is claimed.
    call('HSET', record_key, 'owner', '')
    for _, field in ipairs(call('HKEYS', record_key)) do
      if string.sub(field, 1, 4) == 'seq:' then call('HDEL', record_key, field) end
    end
    for _, pair in ipairs(record.inputs) do
      local cursor = string.match(call('HGET', record_key, 'c:' .. pair[1]) or '0', '^%d+')
      call('HSET', record_key, 'claimed:' .. pair[1], cursor)
    end
  end
end
for _, pair in ipairs(struck) do
  local record_key, record = key('n', pair[1]), records[pair[1]]
  call('HDEL', record_key, unpack(record.drops))
  if record.before then call('HINCRBY', record_key, '+before', format('%d', record.before)) end
  record.before = nil
  call('HSET', record_key, 'in', cmsgpack.pack(record.inputs))
end
for i, join in ipairs(joins) do
  local at, r = unpack(found_joins[i])
  call('HSET', key('n', join[1]), 'c:' .. join[2], format('%d %d', at, r[SIZE]), 'claimed:' .. join[2], format('%d', at))
end

for _, stream in ipairs(streams) do
  local s = created[stream[1]]
  if s then
    call('HSET', key('t', s.name), 'n', 0, 'b', 0, 'x', 0, 'first', 0, 'low', 0, 'keep', s.keep, 'ended', 0,
      'writer', s.writer, 'private', s.private, 'r', cmsgpack.pack(s.readers))
    empty_stream(key('s', s.name))
    for _, each in ipairs({'s', 't'}) do made[#made + 1] = key(each, s.name) end
  end
end
for _, s in pairs(touched) do
  settle(s, '')
  tell_readers(s, '')
end
save_streams()

-- Names: the nodes of the spec, those dropped that are not done, and every stream of them; what else there was is gone.
local shown = {{}, {}}
local function show(name)
  add(shown[1], name)
  for _, pair in ipairs(record_of(name).inputs) do add(shown[2], pair[2]) end
  for _, output in ipairs(unpacked(call('HGET', key('n', name), 'outs'))) do add(shown[2], output) end
end
for _, stream in ipairs(streams) do add(shown[2], stream[1]) end
for _, node in ipairs(nodes) do show(node[1]) end
for _, name in ipairs(names[1]) do
  local record = record_of(name)
  if record and record.status ~= 'done' then show(name) end
end
for i = 1, 2 do
  local here, before = set_of(shown[i]), names[i]
  for _, name in ipairs(gone[i]) do before[#before + 1] = name end
  gone[i] = {}
  for _, name in ipairs(before) do
    if not here[name] then gone[i][#gone[i] + 1] = name end
  end
end

local positions = {{}, {}}
for i, cut in ipairs(found_cuts) do positions[1][i] = cut[1] end
for i, join in ipairs(found_joins) do positions[2][i] = join[1] end
call('HSET', KEYS[1], 'spec', ARGV[2], 'names', cmsgpack.pack(shown),
  'gone', cmsgpack.pack(gone), 'wiring', version + 1)
if left ~= 0 then call('HINCRBY', KEYS[1], 'left', left) end
call('XADD', edits, 'MAXLEN', KEPT, '*', 'v', version + 1, 'p', ARGV[3], 'n', nonce, 'r', cmsgpack.pack(positions))
for i = 4, 3 + events do call('XADD', PREFIX .. 'log', 'MAXLEN', '~', 10000, '*', 'p', ARGV[i]) end
for _, name in ipairs(made) do expire_new(name) end
for _, pair in ipairs(awake) do wake_takers(pair[1], pair[2]) end
tell_all('run')
return {'OK', version + 1, positions[1], positions[2]}
