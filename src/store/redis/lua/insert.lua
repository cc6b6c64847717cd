-- ARGV: record, now, quota or '', '1' if the name must be free, '1' if the id is taken in another
-- shard, '1' to check only.
local new = cmsgpack.unpack(ARGV[1])
local now, quota = ARGV[2], tonumber(ARGV[3])
local old = read(new[ID])
if old and old[STEP] == new[STEP] then
  return {'DONE'}
end
if new[ISSUE_KEY] then
  local issued = redis.call('HGET', issued_key(new), new[ISSUE_KEY])
  if issued then
    return {'REPLAYED', issued}
  end
end
if old or ARGV[5] == '1' then
  return {'TAKEN'}
end
if quota or ARGV[4] == '1' then
  local holder, alive = look_around(new, new[NAME_KEY], now)
  if holder and ARGV[4] == '1' then
    return {'NAMED', holder}
  end
  if quota and alive >= quota then
    return {'FULL'}
  end
end
if ARGV[6] == '1' then
  return {'DONE'}
end
guard(new)
write(nil, new)
if new[PARENT] then
  redis.call('SADD', children_key(new[PARENT]), new[ID])
end
if new[ISSUE_KEY] then
  redis.call('HSET', issued_key(new), new[ISSUE_KEY], new[ID])
end
tell(new)
return {'DONE'}
