-- ARGV: uses, a list of id, instant, address, agent, id, instant ...
local uses = cmsgpack.unpack(ARGV[1])
local before, after = {}, {}
for i = 1, #uses, 4 do
  local id, at = uses[i], uses[i + 1]
  local old = before[id] or read(id)
  if old and not old[REVOKED_AT] then
    local new = after[id]
    if not new then
      guard(old)
      new = {}
      for column, value in ipairs(old) do
        new[column] = value
      end
    end
    if not new[USED_AT] or new[USED_AT] < at then
      new[USED_AT], new[USED_IP], new[USED_AGENT] = at, uses[i + 2], uses[i + 3]
      before[id], after[id] = old, new
    end
  end
end
for id, new in pairs(after) do
  write(before[id], new)
end
return 'DONE'
