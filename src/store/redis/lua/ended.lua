-- The ids of records that ended before an instant and from which none of this shard was made.
-- ARGV: class, instant, from, most to look at, most to return. Returns where to go on, or '' at
-- the end, and the ids.
local count, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local ids, members = walk('ended', ARGV[3], '(' .. ARGV[1] .. ARGV[2], false, count)
local found = {''}
for i, id in ipairs(ids) do
  if redis.call('EXISTS', children_key(id)) == 0 then
    found[#found + 1] = id
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
