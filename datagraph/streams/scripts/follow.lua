--!use names streams
-- Have a session hold a stream back as a reader of its own. ARGV: worker, stream, values that it has read, or '' to let go.
local me, name, cursor = FOLLOWER .. ARGV[1], ARGV[2], tonumber(ARGV[3])
local s = load(name)
if not s then return missing(2, name) end
for i, r in ipairs(s.readers) do
  if r[NODE] == me then
    table.remove(s.readers, i)
    break
  end
end
if cursor then
  s.readers[#s.readers + 1] = {me, name, cursor, size_at(s, cursor), 1000, 64 * 2 ^ 20, HOLD, HOLD}
end
settle(s, '')
save_streams()
return {'OK'}
