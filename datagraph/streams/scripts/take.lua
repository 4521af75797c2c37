--!use names streams
-- Claim values of a shared node's input: of its segments in order, of none beyond where it stops. ARGV: worker, node, most values, request number.
-- A range is a list: id, worker, request, port, stream, start, stop. A repeat finds the range of its request: it cannot
-- have been committed, because nobody has heard of it. Answers {'OK', finished, id, port, stream, start, stop}.
local me, node, limit, request = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local record_key = key('n', node)
local record = call('HMGET', record_key, 'in', 'ranges', 'made')
if not record[1] then return missing(1, node) end
local run = call('HGET', KEYS[1], 'status')
if not run then return {'GONE'} end
if run == 'failed' or run == 'cancelled' or call('HEXISTS', KEYS[1], 'x:' .. me) == 1 then return {'OK', 1} end
local ranges, made = unpacked(record[2]), tonumber(record[3] or 0)

local function answer(r)
  return {'OK', 0, r[1], r[4], r[5], r[6], r[7]}
end

local function save(r, ...)
  call('HSET', record_key, 'ranges', cmsgpack.pack(ranges), 'made', made, ...)
  return answer(r)
end

local time = #ranges > 0 and now()
for _, r in ipairs(ranges) do
  if r[2] == me and r[3] == request then return answer(r) end
end
for i, r in ipairs(ranges) do
  if r[2] ~= me and not alive(r[2], time) then
    -- A new number, so that whoever had it is fenced. What is over the limit stays free.
    if r[7] - r[6] > limit then
      made = made + 1
      table.insert(ranges, i + 1, {made, '', 0, r[4], r[5], r[6] + limit, r[7]})
      r[7] = r[6] + limit
    end
    made = made + 1
    r[1], r[2], r[3] = made, me, request
    return save(r)
  end
end

local finished = #ranges == 0
for _, pair in ipairs(unpacked(record[1])) do
  local port, name = pair[1], pair[2]
  local s = load(name)
  local reading = s and reader(s, node, port)
  if not reading then return missing(2, name) end
  local start, stop = tonumber(call('HGET', record_key, 'claimed:' .. port) or 0), stop_of(reading)
  local upto = math.min(start + limit, s.n, stop or s.n)
  if start < upto then
    made = made + 1
    local r = {made, me, request, port, name, start, upto}
    ranges[#ranges + 1] = r
    return save(r, 'claimed:' .. port, r[7])
  end
  if not (s.ended or stop and start >= stop or is_private(name)) then
    finished = false
    break
  end
end
if finished then return {'OK', 1} end
call('HSET', record_key, 'waiting', enlist(call('HGET', record_key, 'waiting'), me))
return {'OK', 0}
