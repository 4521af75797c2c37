-- Part of other scripts: the names of a run's keys, its clock and its notices. KEYS[1] is always the run's own hash,
-- `dg:{<run>}:run`; every other key shares its hash tag, so all of them live in one slot.
local PREFIX = string.sub(KEYS[1], 1, -4)
local call, format = redis.call, string.format

local function key(kind, name)
  return PREFIX .. kind .. ':' .. name
end

local function unpacked(text)
  return text and text ~= '' and cmsgpack.unpack(text) or {}
end

-- Milliseconds of the server's clock. A user who may not call TIME learns them from the id of a new entry.
local function now()
  local time = redis.pcall('TIME')
  if time.err then
    return tonumber(string.match(call('XADD', PREFIX .. 'clock', 'MAXLEN', 1, '*', 't', ''), '^%d+'))
  end
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Put a notice into a session's inbox; false if that session is gone. Ids count 0-1, 0-2, ..., so that the session
-- sees by a gap that it came too late for some.
local function notify(worker, what)
  return call('XADD', key('inbox', worker), 'NOMKSTREAM', 'MAXLEN', '~', 500, '0-*', 's', what)
end

-- A list: `item` at its end, if it is not in it.
local function add(list, item)
  for _, other in ipairs(list) do
    if other == item then return end
  end
  list[#list + 1] = item
end

-- The answer about a node (1) or stream (2) without a record: never there, gone, or gone with the whole run.
local function missing(index, name)
  local names = call('HGET', KEYS[1], 'names')
  if not names then return {'GONE'} end
  local kind = index == 1 and 'node ' or 'stream '
  for _, known in ipairs(cmsgpack.unpack(names)[index]) do
    if known == name then return {'LOST', 'the record of ' .. kind .. name .. ' is not there'} end
  end
  return {'UNKNOWN', kind .. name}
end

-- A stream without entries that exists, and so can have an expiry.
local function empty_stream(name)
  call('XGROUP', 'CREATE', name, 'new', '$', 'MKSTREAM')
  call('XGROUP', 'DESTROY', name, 'new')
end

-- A list of workers, kept packed: with `worker`, once, or without.
local function enlist(text, worker)
  local list = unpacked(text)
  add(list, worker)
  return cmsgpack.pack(list)
end

local function delist(text, worker)
  local rest = {}
  for _, other in ipairs(unpacked(text)) do
    if other ~= worker then rest[#rest + 1] = other end
  end
  return #rest > 0 and cmsgpack.pack(rest) or ''
end

-- Wake the workers that wait for something to do in a shared node.
local function wake_takers(node, stream)
  local record = key('n', node)
  local waiting = call('HGET', record, 'waiting')
  if not waiting or waiting == '' then return end
  for _, worker in ipairs(unpacked(waiting)) do
    notify(worker, 'turn:' .. node)
    notify(worker, 'values:' .. stream)
  end
  call('HSET', record, 'waiting', '')
end

-- Something that happened to the run, for its log: what, then names and facts in turn, in the words of `events/model.py`.
local function say(what, ...)
  local event, facts = {type = what, run = string.match(PREFIX, '{(.*)}'), at = now() / 1000}, {...}
  for i = 1, #facts, 2 do event[facts[i]] = facts[i + 1] end
  call('XADD', PREFIX .. 'log', 'MAXLEN', '~', 10000, '*', 'p', cjson.encode(event))
end

-- What an error in the store's record says: it is JSON of the runtime's, or any text.
local function report_of(error)
  local read, report = pcall(cjson.decode, error)
  return read and type(report) == 'table' and report or {message = error}
end

-- Whether the lease of a worker still runs.
local function alive(worker, time)
  return (tonumber(call('HGET', PREFIX .. 'sessions', worker) or 0) or 0) > time
end
