--!use names streams
-- Become the owner of a node. ARGV: worker, node, nonce, 1 to take it from a worker that is alive.
-- A repeat has the nonce that is stored, and gets the same epoch. Of a shared node nobody is the owner: what this worker
-- had in hand is free for everybody, since who claims anew knows of nothing (a repeat of that frees nothing that is
-- worked on unfenced: a range is committed by its number, and it gets a new one).
-- Answers {'OK', node's hash, its values, then lists of port, cursor, bytes, where it stops (or -1) and of stream, length}.
local me, node, nonce, force = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local record_key = key('n', node)
local record = call('HMGET', record_key, 'epoch', 'owner', 'kind', 'status', 'nonce', 'ranges', 'in', 'outs')
if not record[1] then return missing(1, node) end
local owner = record[2]
if record[3] ~= 'own' and call('HEXISTS', KEYS[1], 'x:' .. me) == 1 then return {'FENCED', 'the run was taken over'} end

if record[3] == 'own' and record[5] ~= nonce then
  if owner ~= '' and owner ~= me and not force and alive(owner, now()) then return {'HELD', owner} end
  call('HDEL', record_key, 'seq:' .. owner, 'seq:' .. me)
  call('HSET', record_key, 'epoch', record[1] + 1, 'owner', me, 'nonce', nonce)
elseif record[3] ~= 'own' then
  local ranges, freed = unpacked(record[6]), nil
  for _, range in ipairs(ranges) do
    if range[2] == me then range[2], freed = '', range[5] end
  end
  if freed then
    call('HSET', record_key, 'ranges', cmsgpack.pack(ranges))
    wake_takers(node, freed)
  end
end
-- The same worker takes its node again after an error: that is no news.
if record[4] == 'waiting' or (record[3] == 'own' and owner ~= me and record[4] == 'running') then
  call('HSET', record_key, 'status', 'running')
  say('NodeStarted', 'node', node, 'worker', me, 'epoch', tonumber(call('HGET', record_key, 'epoch')))
end

local reads, lengths = {}, {}
for _, pair in ipairs(unpacked(record[7])) do
  local s = load(pair[2])
  local r = s and reader(s, node, pair[1])
  if not r then return missing(2, pair[2]) end
  for _, item in ipairs({pair[1], r[CURSOR], r[SIZE], stop_of(r) or -1}) do reads[#reads + 1] = item end
end
for _, name in ipairs(unpacked(record[8])) do
  local s = load(name)
  if not s then return missing(2, name) end
  lengths[#lengths + 1] = name
  lengths[#lengths + 1] = s.n
end
return {'OK', call('HGETALL', record_key), call('HGETALL', key('m', node)), reads, lengths}
