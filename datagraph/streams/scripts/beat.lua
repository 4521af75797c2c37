--!use names streams ending
-- Open a session, renew its lease, take its report. ARGV: worker, lease in milliseconds (0: one who only looks; -1: as
-- it was), report as JSON or '', 1 to open. Answers {whether its inbox is new, the run's state...}; every part of it may
-- be repeated.
local INBOX_SECONDS, RENEW_MS, REPORTS = 60, 3600 * 1000, 64
local me, lease = ARGV[1], tonumber(ARGV[2])
if call('EXISTS', KEYS[1]) == 0 then return {'GONE'} end
local inbox, sessions, reports, time = key('inbox', me), PREFIX .. 'sessions', PREFIX .. 'reports', now()

if lease > 0 and call('HEXISTS', KEYS[1], 'x:' .. me) == 1 then lease = 0 end
if lease >= 0 then
  call('HSET', sessions, me, lease > 0 and time + lease or 0)
elseif call('HEXISTS', sessions, me) == 0 then
  call('HSET', sessions, me, 0)
end
if ARGV[4] == '1' then call('DEL', inbox) end
local fresh = call('EXISTS', inbox) == 0
if fresh then empty_stream(inbox) end
call('EXPIRE', inbox, INBOX_SECONDS)
if ARGV[3] ~= '' then call('HSET', reports, me, ARGV[3]) end

-- What the dead left behind goes when it is a crowd.
if ARGV[4] == '1' and call('HLEN', reports) > REPORTS then
  for _, worker in ipairs(call('HKEYS', reports)) do
    if worker ~= '' and not alive(worker, time) then call('HDEL', reports, worker) end
  end
  for _, worker in ipairs(call('HKEYS', sessions)) do
    if worker ~= '' and call('EXISTS', key('inbox', worker)) == 0 then call('HDEL', sessions, worker) end
  end
end
local run = call('HMGET', KEYS[1], 'status', 'renewed')
if run[1] == 'running' and time - tonumber(run[2]) > RENEW_MS then
  call('HSET', KEYS[1], 'renewed', time)
  expire_all('ttl')
end
return {'OK', fresh and 1 or 0, unpack(run_state())}
