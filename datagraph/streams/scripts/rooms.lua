--!use names streams
-- The room in streams. ARGV: worker, 1 to be told of room where there is none, then the streams.
local run, wait = call('HGET', KEYS[1], 'status'), ARGV[2] == '1'
if not run then return {'GONE'} end
local reply = {'OK', run}
for i = 3, #ARGV do
  local s = load(ARGV[i])
  if not s then return missing(2, ARGV[i]) end
  if wait and not has_room(s) then block(s, ARGV[1]) end
  append_room(reply, s)
end
save_streams()
return reply
