-- Removes records, if they still may be.
-- ARGV: list of ids, instant before which others must have ended, and access tokens. Returns the
-- ids of those that were removed.
local removed, records = {}, {}
for _, id in ipairs(cmsgpack.unpack(ARGV[1])) do
  local record = read(id)
  local place = record and places(record).ended
  if place and redis.call('EXISTS', children_key(id)) == 0 then
    local bound = string.sub(place, 1, 1) == 'a' and ARGV[3] or ARGV[2]
    if string.sub(place, 2, 19) < bound then
      guard(record)
      records[#records + 1] = record
    end
  end
end
for _, record in ipairs(records) do
  local id = record[ID]
  for index, place in pairs(places(record)) do
    if place then
      redis.call('ZREM', index_key(index), place)
    end
  end
  redis.call('HDEL', owner_key(record[KIND], record[TENANT], record[OWNER]), id)
  if record[ISSUE_KEY] and redis.call('HGET', issued_key(record), record[ISSUE_KEY]) == id then
    redis.call('HDEL', issued_key(record), record[ISSUE_KEY])
  end
  if record[PARENT] then
    redis.call('SREM', children_key(record[PARENT]), id)
  end
  redis.call('DEL', token_key(id))
  removed[#removed + 1] = id
end
return removed
