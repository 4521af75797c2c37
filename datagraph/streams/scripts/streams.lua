-- Part of other scripts: the records of streams (`t:` hashes), room in them, who is woken, what is trimmed.
-- A reader is a list: node, port (the segment's name), cursor, bytes, capacity, capacity in bytes, hold, hold as declared,
-- and since a rewire where it stops (-1: nowhere) and where it began. One whose node is '~' and a worker is no node's:
-- that session follows the stream, for as long as its lease runs.
local UNBOUNDED, SLACK_VALUES, SLACK_FRAMES, SLACK_BYTES = 2 ^ 53, 1000, 8, 8 * 2 ^ 20
local FREE, HOLD, OPEN, FOLLOWER = 0, 1, 2, '~'
local NODE, PORT, CURSOR, SIZE, CAPACITY, CAPACITY_BYTES, HOLDS, DECLARED = 1, 2, 3, 4, 5, 6, 7, 8
local UNTIL, FROM = 9, 10
local loaded = {}

local function change(s, field, value)
  local changes = s.changes
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

-- Drop the followers whose lease has ended, and have those who wait for room look again.
local function drop_dead(s)
  local kept, time = {}, nil
  for _, r in ipairs(s.readers) do
    local follows = string.sub(r[NODE], 1, 1) == FOLLOWER
    time = time or follows and now()
    if not follows or alive(string.sub(r[NODE], 2), time) then kept[#kept + 1] = r end
  end
  if #kept == #s.readers then return end
  s.readers = kept
  change(s, 'r', cmsgpack.pack(kept))
  for _, worker in ipairs(unpacked(s.blocked)) do notify(worker, 'room:' .. s.name) end
  s.blocked = ''
  change(s, 'blocked', '')
end

-- The record of a stream, read once a script; nil if the run has none of that name.
local function load(name)
  local s = loaded[name]
  if s then return s end
  local h = call('HMGET', key('t', name), 'n', 'b', 'x', 'r', 'blocked', 'subs', 'first', 'keep', 'low', 'ended', 'writer')
  if not h[1] then return nil end
  s = {
    name = name, n = tonumber(h[1]), b = tonumber(h[2]), entries = tonumber(h[3]), readers = unpacked(h[4]),
    blocked = h[5], subs = h[6], first = tonumber(h[7]), keep = tonumber(h[8]), low = tonumber(h[9]),
    ended = h[10] == '1', writer = h[11], changes = {},
  }
  loaded[name] = s
  drop_dead(s)
  return s
end

local function reader(s, node, port)
  for _, r in ipairs(s.readers) do
    if r[NODE] == node and r[PORT] == port then return r end
  end
end

-- Where a reader stops; nil if it goes on to the end.
local function stop_of(r)
  return r[UNTIL] and r[UNTIL] >= 0 and r[UNTIL] or nil
end

local function has_stopped(r)
  local stop = stop_of(r)
  return stop and r[CURSOR] >= stop
end

-- A reader that stops holds no writer back: what it has still to read is kept for it, and then it is free for good.
local function bound(r)
  if not stop_of(r) then return end
  local most = has_stopped(r) and FREE or OPEN
  if r[HOLDS] ~= FREE then r[HOLDS] = most end
  if r[DECLARED] ~= FREE then r[DECLARED] = most end
end

-- How many bytes the values before a position are, nobody has counted: they are taken to be spread evenly over what is
-- kept.
local function size_at(s, cursor)
  local share = s.n > s.first and math.max(0, cursor - s.first) / (s.n - s.first) or 1
  return math.floor(s.low + (s.b - s.low) * share)
end

-- Whether a stream brings dead letters back to their node.
local function is_private(name)
  return string.sub(name, 1, 1) == '~'
end

-- Values and bytes that the writer may add, and whether every reader that holds it back has read everything (then
-- one value of any size is welcome: else a value larger than the capacity could never pass).
local function room(s)
  local values, size, idle = UNBOUNDED, UNBOUNDED, true
  for _, r in ipairs(s.readers) do
    if r[HOLDS] == HOLD then
      values = math.min(values, r[CURSOR] + r[CAPACITY] - s.n)
      size = math.min(size, r[SIZE] + r[CAPACITY_BYTES] - s.b)
      if r[CURSOR] < s.n then idle = false end
    end
  end
  return math.max(values, idle and 1 or 0), math.max(size, 0), idle
end

local function has_room(s)
  local values, size, idle = room(s)
  return idle or (values > 0 and size > 0)
end

local function append_room(answer, s)
  local values, size = room(s)
  local i = #answer
  answer[i + 1], answer[i + 2], answer[i + 3] = s.n, values, size
end

local function block(s, worker)
  s.blocked = enlist(s.blocked, worker)
  change(s, 'blocked', s.blocked)
end

-- Tell everybody who watches the stream, except the one who wrote; forget those who are gone.
local function tell_readers(s, writer)
  if not s.subs or s.subs == '' then return end
  for _, worker in ipairs(unpacked(s.subs)) do
    if worker ~= writer and not notify(worker, 'values:' .. s.name) then
      s.subs = delist(s.subs, worker)
      change(s, 'subs', s.subs)
    end
  end
end

-- Drop the frames that every reader has read, less the tail to keep; seldom, so that it costs little.
local function trim(s)
  if s.keep < 0 then return end
  local cursor, size = s.n, s.b
  for _, r in ipairs(s.readers) do
    if r[HOLDS] ~= FREE then cursor, size = math.min(cursor, r[CURSOR]), math.min(size, r[SIZE]) end
  end
  local upto = cursor - s.keep
  if upto - s.first < SLACK_VALUES and size - s.low < SLACK_BYTES or upto <= s.first then return end
  local slack = math.max(SLACK_VALUES, s.keep / 10, SLACK_FRAMES * (s.n - s.first) / s.entries)
  if upto - s.first < slack and size - s.low < SLACK_BYTES then return end
  -- `<upto>-1` and not `<upto + 1>-0`: an end mark at `upto` stays.
  s.entries = s.entries - call('XTRIM', key('s', s.name), 'MINID', format('%d-1', upto))
  local head = call('XRANGE', key('s', s.name), '-', '+', 'COUNT', 1)[1]
  s.first, s.low = head and tonumber(string.match(head[1], '^%d+')) - tonumber(head[2][2]) or s.n, size
  change(s, 'first', s.first)
  change(s, 'low', s.low)
  change(s, 'x', s.entries)
end

-- The stream that a node's port reads, and the reader's entry; nil if there is no such port.
local function input(node, port)
  for _, pair in ipairs(unpacked(call('HGET', key('n', node), 'in'))) do
    if pair[1] == port then
      local s = load(pair[2])
      return s, s and reader(s, node, port)
    end
  end
end

-- After readers moved: save them, wake the writers that wait if there is room now, trim.
local function settle(s, committer)
  change(s, 'r', cmsgpack.pack(s.readers))
  if s.blocked and s.blocked ~= '' and has_room(s) then
    for _, worker in ipairs(unpacked(s.blocked)) do
      if worker ~= committer then notify(worker, 'room:' .. s.name) end
    end
    s.blocked = ''
    change(s, 'blocked', '')
  end
  trim(s)
end

local function save_streams()
  for name, s in pairs(loaded) do
    if #s.changes > 0 then call('HSET', key('t', name), unpack(s.changes)) end
  end
end
