--!use names streams
-- Have a session told of every write to a stream. ARGV: worker, stream.
local s = load(ARGV[2])
if not s then return missing(2, ARGV[2]) end
change(s, 'subs', enlist(s.subs, ARGV[1]))
save_streams()
return {'OK'}
