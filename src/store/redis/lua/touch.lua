-- ARGV: uses, a list of id, instant, address, agent, id, instant ...
local uses = cmsgpack.unpack(ARGV[1])
local index = index_key('used')
local records, before, changed = {}, {}, {}
for i = 1, #uses, 4 do
  local id, at = uses[i], uses[i + 1]
  local record = records[id]
  if record == nil then
    record = read(id) or false
    records[id] = record
    before[id] = record and used_place(record)
  end
  if record and not record[REVOKED_AT] and (not record[USED_AT] or record[USED_AT] < at) then
    record[USED_AT], record[USED_IP], record[USED_AGENT] = at, uses[i + 2], uses[i + 3]
    changed[id] = record
  end
end
-- What `guard` is for; the records themselves were read.
redis.call('EXISTS', index)
for id, record in pairs(changed) do
  redis.call('SET', token_key(id), cmsgpack.pack(record))
  redis.call('ZREM', index, before[id])
  redis.call('ZADD', index, 0, used_place(record))
end
return 'DONE'
