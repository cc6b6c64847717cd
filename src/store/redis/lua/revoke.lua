-- Revokes the records that a filter admits: among an owner's, a family's or given ones, or among
-- the next ones in an index's order.
-- ARGV: filter, instant, by, reason, step, list of ids or '', index or '', from, to, most to look at.
-- Returns where to go on, or '' at the end, and the ids of those that were revoked.
local filter = cmsgpack.unpack(ARGV[1])
local ids, members
if ARGV[7] ~= '' then
  ids, members = walk(ARGV[7], ARGV[8], ARGV[9], false, tonumber(ARGV[10]))
else
  local given = ARGV[6] ~= '' and cmsgpack.unpack(ARGV[6]) or nil
  ids = candidates(filter, given)
end
local revoked, before, seen = {''}, {}, {}
for _, id in ipairs(ids) do
  local record = not seen[id] and read(id)
  seen[id] = true
  if record then
    if record[REVOKED_AT] then
      if record[STEP] == ARGV[5] then
        revoked[#revoked + 1] = id
      end
    elseif admits(filter, record, ARGV[2]) then
      guard(record)
      before[#before + 1] = record
    end
  end
end
for _, old in ipairs(before) do
  local new = {}
  for column, value in ipairs(old) do
    new[column] = value
  end
  new[REVOKED_AT], new[REVOKED_BY], new[REVOKED_REASON] = ARGV[2], ARGV[3], ARGV[4]
  new[VERSION] = counted_up(old[VERSION])
  new[STEP] = ARGV[5]
  write(old, new)
  tell(new)
  revoked[#revoked + 1] = new[ID]
end
if #before > 0 then
  redis.call('INCR', shard .. ':revocations')
end
if members and #members == tonumber(ARGV[10]) then
  revoked[1] = members[#members]
end
return revoked
