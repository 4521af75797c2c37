--!use names streams ending
-- A session leaves. ARGV: worker. Its lease ends, nobody tells it anything more, and what it had claimed of shared nodes
-- is there for others. ARGV[2] is 1 where another worker says so: then this one only looks from now on.
local me = ARGV[1]
if call('EXISTS', KEYS[1]) == 0 then return {'GONE'} end
if ARGV[2] == '1' then
  call('HSET', KEYS[1], 'x:' .. me, 1)
  call('HSET', PREFIX .. 'sessions', me, 0)
else
  call('HDEL', PREFIX .. 'sessions', me)
  call('UNLINK', key('inbox', me))
  if call('HGET', PREFIX .. 'reports', me) == '{}' then call('HDEL', PREFIX .. 'reports', me) end
end
local names = cmsgpack.unpack(call('HGET', KEYS[1], 'names'))
for _, name in ipairs(names[2]) do
  local s = load(name)
  if s then
    local blocked, subs = delist(s.blocked, me), ARGV[2] == '1' and s.subs or delist(s.subs, me)
    if blocked ~= (s.blocked or '') then change(s, 'blocked', blocked) end
    if subs ~= (s.subs or '') then change(s, 'subs', subs) end
  end
end
save_streams()
for _, node in ipairs(names[1]) do
  for _, range in ipairs(unpacked(call('HGET', key('n', node), 'ranges'))) do
    if range[2] == me then wake_takers(node, range[5]) end
  end
end
return {'OK'}
