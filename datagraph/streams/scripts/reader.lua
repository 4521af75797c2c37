--!use names streams
-- Change how a reader holds its stream back. ARGV: node, port, hold (0 free, 1 hold, 2 open) or '', capacity or
-- '', the capacity that it must have for that (its bytes then change in proportion) or '', nonce. Answers {'OK', whether it was changed}; a repeat of a change of
-- capacity whose answer was lost finds the new one and says that it was changed.
local node, port, hold, capacity, expected, nonce = unpack(ARGV)
if call('EXISTS', key('n', node)) == 0 then return missing(1, node) end
local s, r = input(node, port)
if not r then return {'UNKNOWN', 'port ' .. port .. ' of node ' .. node} end
if expected ~= '' and r[CAPACITY] ~= tonumber(expected) then
  return {'OK', call('HGET', key('t', s.name), 'grown') == nonce and 1 or 0}
end
if hold ~= '' then
  r[HOLDS], r[DECLARED] = tonumber(hold), tonumber(hold)
  bound(r)
end
if expected ~= '' then r[CAPACITY_BYTES] = math.floor(r[CAPACITY_BYTES] * tonumber(capacity) / r[CAPACITY]) end
if capacity ~= '' then r[CAPACITY] = tonumber(capacity) end
change(s, 'grown', nonce)
settle(s, '')
save_streams()
return {'OK', 1}
