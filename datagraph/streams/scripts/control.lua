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
elseif action == 'rewind' then
  rewind()
elseif action == 'fail' then
  if run == 'running' then finish('failed', ARGV[3]) end
else
  local field, before, after = 'stopping', call('HGET', KEYS[1], 'stopping'), '1'
  if action ~= 'stop' then
    field = node == '' and 'paused' or 'paused_nodes'
    before = call('HGET', KEYS[1], field)
    if node == '' then
      after = action == 'pause' and '1' or '0'
    else
      after = action == 'pause' and enlist(before, node) or delist(before, node)
    end
    if after ~= before then say(action == 'pause' and 'RunPaused' or 'RunResumed', 'node', node) end
  end
  call('HSET', KEYS[1], field, after)
  tell_all('run')
end
return {'OK', unpack(run_state())}
