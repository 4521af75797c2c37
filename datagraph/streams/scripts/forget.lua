--!use names ending
-- Delete everything of the run; answers how many keys that were.
if call('EXISTS', KEYS[1]) == 0 then return 0 end
local keys, count = every_key(), 0
for _, worker in ipairs(call('HKEYS', PREFIX .. 'sessions')) do keys[#keys + 1] = key('inbox', worker) end
for _, name in ipairs(keys) do count = count + call('UNLINK', name) end
return count
