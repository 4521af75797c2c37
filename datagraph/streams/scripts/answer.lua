--!use names ending
-- Answer an ask. ARGV: its id, the answer. The first answer stands, so a repeat is harmless.
local id, answers = ARGV[1], PREFIX .. 'answers'
if call('EXISTS', KEYS[1]) == 0 then return {'GONE'} end
local is_id = string.match(id, '^%d+%-%d+$')
if not is_id or #call('XRANGE', PREFIX .. 'asks', id, id) == 0 then return {'UNASKED', id} end
if call('HEXISTS', answers, id) == 1 then return {'OK'} end
local is_new = call('EXISTS', answers) == 0
call('HSET', answers, id, ARGV[2])
if is_new then expire_new(answers) end
tell_all('run')
return {'OK'}
