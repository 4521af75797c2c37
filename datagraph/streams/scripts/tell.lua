--!use names
-- Append events to the run's log. ARGV: nonce, then the events as JSON. A repeat has the nonce that is stored.
if call('EXISTS', KEYS[1]) == 0 then return {'GONE'} end
if call('HGET', KEYS[1], 'told') == ARGV[1] then return {'OK'} end
for i = 2, #ARGV do call('XADD', PREFIX .. 'log', 'MAXLEN', '~', 10000, '*', 'p', ARGV[i]) end
call('HSET', KEYS[1], 'told', ARGV[1])
return {'OK'}
