--!use names ending
-- Steer the run. ARGV: action, node or '', error. All of it says what shall be, not what shall change, so a repeat is
-- harmless. Answers {'OK', the run's state...}.
local action, node = ARGV[1], ARGV[2]
local run = call('HGET', KEYS[1], 'status')
if not run then return {'GONE'} end
if node ~= '' and call('EXISTS', key('n', node)) == 0 then return missing(1, node) end

if action == 'cancel' then
  if run == 'running' then
    for _, name in ipairs(cmsgpack.unpack(call('HGET', KEYS[1], 'names'))[1]) do
      call('HINCRBY', key('n', name), 'epoch', 1)
    end
    finish('cancelled', '')
  end
elseif action == 'fail' then
  if run == 'running' then finish('failed', ARGV[3]) end
else
  if action == 'stop' then
    call('HSET', KEYS[1], 'stopping', 1)
  elseif node == '' then
    call('HSET', KEYS[1], 'paused', action == 'pause' and 1 or 0)
  else
    local list = call('HGET', KEYS[1], 'paused_nodes')
    call('HSET', KEYS[1], 'paused_nodes', action == 'pause' and enlist(list, node) or delist(list, node))
  end
  tell_all('run')
end
return {'OK', unpack(run_state())}
