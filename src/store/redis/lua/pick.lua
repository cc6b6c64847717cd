-- The records that a filter admits among an owner's, a family's or given ones.
-- ARGV: filter, now, list of ids or ''.
local filter = cmsgpack.unpack(ARGV[1])
local given = ARGV[3] ~= '' and cmsgpack.unpack(ARGV[3]) or nil
local found = {}
for _, id in ipairs(candidates(filter, given)) do
  local record, packed = read(id)
  if record and admits(filter, record, ARGV[2]) then
    found[#found + 1] = packed
  end
end
return found
