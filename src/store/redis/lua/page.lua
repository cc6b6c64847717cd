-- The next records that a filter admits, in an index's order.
-- ARGV: filter, now, index, from, to, '1' if descending, most to look at, most to return.
-- Returns where to go on, or '' at the end, and the records.
local filter = cmsgpack.unpack(ARGV[1])
local count, most = tonumber(ARGV[7]), tonumber(ARGV[8])
local ids, members = walk(ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1', count)
local found = {''}
for i, id in ipairs(ids) do
  local record, packed = read(id)
  if record and admits(filter, record, ARGV[2]) then
    found[#found + 1] = packed
    if #found > most then
      found[1] = members[i]
      return found
    end
  end
end
if #ids == count then
  found[1] = members[#ids]
end
return found
