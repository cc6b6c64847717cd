-- ARGV: id, expected version, now, changes (a list of column, value, column, value ...), '1' if
-- the name must be free, step.
local old, packed = read(ARGV[1])
if not old then
  return {'ABSENT'}
end
if old[STEP] == ARGV[6] then
  return {'DONE', packed}
end
if old[REVOKED_AT] then
  return {'REVOKED'}
end
if old[VERSION] ~= ARGV[2] then
  return {'STALE', old[VERSION]}
end
local changes = cmsgpack.unpack(ARGV[4])
local new = {}
for column, value in ipairs(old) do
  new[column] = value
end
for i = 1, #changes, 2 do
  new[tonumber(changes[i])] = changes[i + 1]
end
if ARGV[5] == '1' then
  local holder = look_around(old, new[NAME_KEY], ARGV[3])
  if holder then
    return {'NAMED', holder}
  end
end
new[VERSION] = counted_up(old[VERSION])
new[STEP] = ARGV[6]
guard(new)
packed = write(old, new)
tell(new)
return {'DONE', packed}
