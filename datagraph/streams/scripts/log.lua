--!use names
-- Append lines to a node's log. ARGV: worker, nonce, node, then the lines. A repeat has the nonce that is stored.
local node, field = ARGV[3], 'logged:' .. ARGV[1]
local record = key('n', node)
if call('EXISTS', record) == 0 then return missing(1, node) end
if call('HGET', record, field) == ARGV[2] then return {'OK'} end
for i = 4, #ARGV do call('XADD', key('out', node), 'MAXLEN', 10000, '*', 'l', ARGV[i]) end
call('HSET', record, field, ARGV[2])
return {'OK'}
