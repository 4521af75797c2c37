--!use names ending
-- Ask something of the processes that run the nodes. ARGV: worker, nonce, what. Answers {'OK', id}; a repeat has the nonce
-- that is stored for the worker (which asks one thing at a time), and gets the same id.
local KEPT = 1000
local me, nonce = ARGV[1], ARGV[2]
local asks, answers, field = PREFIX .. 'asks', PREFIX .. 'answers', 'ask:' .. me
if call('EXISTS', KEYS[1]) == 0 then return {'GONE'} end
local before = unpacked(call('HGET', KEYS[1], field))
if before[1] == nonce then return {'OK', before[2]} end

local is_new = call('EXISTS', asks) == 0
local id = call('XADD', asks, '*', 'd', ARGV[3])
if is_new then expire_new(asks) end
if call('XLEN', asks) > KEPT then
  local oldest = call('XRANGE', asks, '-', '+', 'COUNT', 1)[1][1]
  call('XDEL', asks, oldest)
  call('HDEL', answers, oldest)
end
call('HSET', KEYS[1], field, cmsgpack.pack({nonce, id}))
call('HINCRBY', KEYS[1], 'asked', 1)
tell_all('run')
return {'OK', id}
