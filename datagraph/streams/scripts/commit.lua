--!use names streams ending
-- Apply everything that one node commits, or nothing. Scripts do not roll back, so all is checked before the first write.
-- ARGV[1]: the commit, packed (`valkey_wire.pack_commit` says how); then for each write what its frames came from and
-- their payloads, in order, then letters,
-- events, values looked at, the state and the error.
-- Answers {code, status of the run, then length, values and bytes of room of every written stream}, or {code, why}.
local c = cmsgpack.unpack(ARGV[1])
local node, epoch, seq, me, safe, status, claim, upto = c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]
local writes, reads, counters, letters, events, looked, has_state = c[9], c[10], c[11], c[12], c[13], c[14], c[15]

local run = call('HGET', KEYS[1], 'status')
if not run then return {'GONE'} end
local record_key = key('n', node)
local record = call('HMGET', record_key, 'epoch', 'seq:' .. me, 'kind', 'status', 'marks', 'stateful', 'owner')
if not record[1] then return missing(1, node) end
if run == 'cancelled' then return {'FENCED', 'the run was cancelled'} end
local kind, stored, current = record[3], tonumber(record[2] or 0), tonumber(record[1])
-- An epoch that the store does not know yet was lost by it; one that has gone up with no other owner says that something
-- else was.
if current < epoch then
  rewind()
  return {'REWOUND', format('epoch %d came after epoch %d', epoch, current)}
elseif kind == 'own' and record[7] ~= me and record[7] ~= '' then
  return {'FENCED', format('its epoch is %s now, and not %d', record[1], epoch)}
elseif current ~= epoch then
  return {'REWOUND', format('its epoch is %d now, and not %d', current, epoch)}
elseif kind ~= 'own' and call('HEXISTS', KEYS[1], 'x:' .. me) == 1 then
  return {'FENCED', 'the run was taken over'}
end

local function answer(code)
  local reply = {code, run}
  for _, w in ipairs(writes) do append_room(reply, load(w[1])) end
  return reply
end

for _, w in ipairs(writes) do
  local s = load(w[1])
  if not s then return missing(2, w[1]) end
  if s.writer ~= node then return {'READONLY', 'stream ' .. w[1] .. ' is written by ' .. s.writer} end
end
if seq == stored then return answer('OK') end
if seq > stored + 1 then rewind() end
if seq ~= stored + 1 then return {'REWOUND', format('commit %d came after commit %d', seq, stored)} end

-- Whether a range is to be committed before another one: segments in their order, in each from its beginning. What was
-- sent again has no order with the rest.
local function precedes(r, other)
  if r[4] == other[4] then return r[6] < other[6] end
  if is_private(r[5]) or is_private(other[5]) then return false end
  for _, pair in ipairs(unpacked(call('HGET', record_key, 'in'))) do
    if pair[1] == r[4] then return true end
    if pair[1] == other[4] then return false end
  end
  return false
end

-- The range that a shared node's worker commits must still be its own, and in order be the first of its port.
local ranges, mine, my_index
if claim > 0 then
  ranges = unpacked(call('HGET', record_key, 'ranges'))
  for i, r in ipairs(ranges) do
    if r[1] == claim and r[2] == me then mine, my_index = r, i end
  end
  if not mine then return {'FENCED', 'another worker has range ' .. claim} end
  if upto < mine[6] or upto > mine[7] then
    return {'VALUE', format('range %d is %d to %d, it is not done up to %d', claim, mine[6], mine[7], upto)}
  end
  if kind == 'ordered' then
    for _, r in ipairs(ranges) do
      if precedes(r, mine) then
        call('HSET', record_key, 'waiting', enlist(call('HGET', record_key, 'waiting'), me))
        return answer('TURN')
      end
    end
  end
end

-- Every output stream must be what its record says, and have room. The number of entries shows what was deleted,
-- evicted or added by a stranger, without the payloads that XINFO STREAM would copy.
local full = {}
for _, w in ipairs(writes) do
  local s, counts, sizes, values, size = load(w[1]), w[5], w[6], 0, 0
  local entries = call('XLEN', key('s', s.name))
  if entries ~= s.entries then
    return {'LOST', format('stream %s holds %d entries, its record says %d', s.name, entries, s.entries)}
  end
  if kind == 'own' and w[2] ~= s.n then
    return {'LOST', format('stream %s has %d values, its writer knows of %d', s.name, s.n, w[2])}
  end
  if #counts > 0 and s.ended then return {'LOST', 'stream ' .. s.name .. ' has ended'} end
  for i, count in ipairs(counts) do
    if count < 1 then return {'VALUE', 'a frame for stream ' .. s.name .. ' holds no value'} end
    values, size = values + count, size + sizes[i]
  end
  local room_values, room_size, idle = room(s)
  if #counts > 0 and (values > room_values or size > room_size) and not (idle and values == 1) then
    full[#full + 1] = s
  end
end
for _, a in ipairs(reads) do
  local s = load(a[2])
  if not s then return missing(2, a[2]) end
  local r = reader(s, node, a[1])
  if not r and call('HEXISTS', KEYS[1], 'wiring') == 1 then
    return {'MOVED', format('port %s does not read stream %s any more', a[1], a[2])}
  elseif not r then
    return {'UNKNOWN', 'port ' .. a[1] .. ' of node ' .. node .. ' on stream ' .. a[2]}
  elseif a[3] > (stop_of(r) or s.n) and a[3] <= s.n then
    return {'MOVED', format('port %s read %d values of stream %s, where it stops at %d', a[1], a[3], a[2], r[UNTIL])}
  end
  if a[3] > s.n then
    rewind()
    return {'REWOUND', format('port %s read %d values of stream %s, which has %d', a[1], a[3], a[2], s.n)}
  end
end
if #full > 0 then
  for _, s in ipairs(full) do block(s, me) end
  save_streams()
  return answer('FULL')
end

-- From here on everything is applied.
local next_arg = 2
local function payload()
  next_arg = next_arg + 1
  return ARGV[next_arg - 1]
end

local set, marks = {'seq:' .. me, seq}, not safe and unpacked(record[5])
for _, w in ipairs(writes) do
  local s, counts, sizes, stream = load(w[1]), w[5], w[6], key('s', w[1])
  local origin = w[7] and payload()
  for i, count in ipairs(counts) do
    s.n, s.b, s.entries = s.n + count, s.b + sizes[i], s.entries + 1
    if origin then
      call('XADD', stream, format('%d-0', s.n), 'c', count, 'p', payload(), 'o', origin)
    else
      call('XADD', stream, format('%d-0', s.n), 'c', count, 'p', payload())
    end
  end
  local ends = w[3] and not s.ended
  if ends then
    -- `-*` is `-1`, or more where a stream that was opened again ends at the same place.
    call('XADD', stream, format('%d-*', s.n), 'c', 0, 'p', '')
    s.ended, s.entries = true, s.entries + 1
    change(s, 'ended', 1)
  end
  if marks and #counts > 0 then marks[s.name] = w[4] end
  if #counts > 0 or ends then
    change(s, 'n', s.n)
    change(s, 'b', s.b)
    change(s, 'x', s.entries)
    tell_readers(s, me)
    trim(s)
  end
  if s.blocked and s.blocked ~= '' then
    s.blocked = delist(s.blocked, me)
    change(s, 'blocked', s.blocked)
  end
end

local function advance(port, stream, cursor, size)
  local s = load(stream)
  local r = reader(s, node, port)
  -- A node that replays reads again what it had read: the reader's position stays.
  if cursor > r[CURSOR] then
    r[CURSOR], r[SIZE] = cursor, math.min(math.max(size, r[SIZE]), s.b)
    bound(r)
    settle(s, me)
  end
  return r
end

local function resume_at(port, cursor, size)
  set[#set + 1] = 'c:' .. port
  set[#set + 1] = format('%d %d', cursor, size)
end

for _, a in ipairs(reads) do
  if not mine or a[1] ~= mine[4] then
    advance(a[1], a[2], a[3], a[4])
    if safe then resume_at(a[1], a[3], a[4]) end
  end
end

-- A range that is done is struck off; the node's cursor is where the first one left begins. Its bytes are not known
-- (nobody has read all the frames before it), so they are taken to be spread evenly over what is unread.
if mine then
  local port, stream = mine[4], mine[5]
  mine[6] = upto
  if upto == mine[7] then table.remove(ranges, my_index) end
  local cursor, first = tonumber(call('HGET', record_key, 'claimed:' .. port) or 0), nil
  for _, r in ipairs(ranges) do
    if r[4] == port and (not first or r[6] < first[6]) then first = r end
  end
  if first then cursor = first[6] end
  local s = load(stream)
  local r = reader(s, node, port)
  local share = s.n > r[CURSOR] and (cursor - r[CURSOR]) / (s.n - r[CURSOR]) or 0
  r = advance(port, stream, cursor, math.floor(r[SIZE] + (s.b - r[SIZE]) * share))
  resume_at(port, r[CURSOR], r[SIZE])
  set[#set + 1] = 'ranges'
  set[#set + 1] = #ranges > 0 and cmsgpack.pack(ranges) or ''
  if not first then
    wake_takers(node, stream)
  elseif upto == mine[7] then
    local waiting = call('HGET', record_key, 'waiting')
    local left = delist(waiting, first[2])
    if waiting and left ~= waiting then
      call('HSET', record_key, 'waiting', left)
      notify(first[2], 'turn:' .. node)
    end
  end
end

for _ = 1, letters do call('XADD', key('dead', node), '*', 'p', payload()) end
for _ = 1, events do call('XADD', PREFIX .. 'log', 'MAXLEN', '~', 10000, '*', 'p', payload()) end
for _, port in ipairs(looked) do call('HSET', key('m', node), 'l:' .. port, payload()) end
if has_state then
  call('HSET', key('m', node), 'state', payload())
  if record[6] ~= '1' then call('HSET', record_key, 'stateful', 1) end
elseif safe and record[6] == '1' then
  call('HDEL', key('m', node), 'state')
  call('HSET', record_key, 'stateful', 0)
end
for name, by in pairs(counters) do call('HINCRBY', record_key, '+' .. name, by) end
if safe then
  if record[5] and record[5] ~= '' then
    set[#set + 1] = 'marks'
    set[#set + 1] = ''
  end
elseif next(marks) then
  set[#set + 1] = 'marks'
  set[#set + 1] = cmsgpack.pack(marks)
end

if status ~= '' then
  local error = payload()
  set[#set + 1] = 'status'
  set[#set + 1] = status
  set[#set + 1] = 'error'
  set[#set + 1] = error
  if status == 'done' and record[4] ~= 'done' then
    local read, written = 0, 0
    for _, input in ipairs(unpacked(call('HGET', record_key, 'in'))) do
      local s = load(input[2])
      local r = reader(s, node, input[1])
      r[HOLDS] = FREE
      settle(s, me)
      if not is_private(s.name) then read = read + r[CURSOR] - (r[FROM] or 0) end
    end
    for _, output in ipairs(unpacked(call('HGET', record_key, 'outs'))) do written = written + load(output).n end
    say('NodeEnded', 'node', node, 'read', read, 'written', written)
    if call('HGET', record_key, 'counts') == '1' and call('HINCRBY', KEYS[1], 'left', -1) == 0 and run == 'running' then
      run = 'completed'
    end
  elseif status == 'failed' and run == 'running' then
    run = 'failed'
    local why = report_of(error)
    say('NodeFailed', 'node', node, 'error', why.message or '', 'attempts', tonumber(why.attempts) or 1,
      'position', tonumber(why.position) or cjson.null)
  end
  call('HSET', record_key, unpack(set))
  save_streams()
  if run ~= call('HGET', KEYS[1], 'status') then finish(run, error) end
  return answer('OK')
end
call('HSET', record_key, unpack(set))
save_streams()
return answer('OK')
