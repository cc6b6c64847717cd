-- Which records a filter admits; a filter is a list in this order.
local REACH, IN_TENANT, OF_OWNER, ROOT, IN_KINDS, STATUSES, TEXT, SCOPE = 1, 2, 3, 4, 5, 6, 7, 8
local CREATED_BEFORE, EXPIRES_FROM, EXPIRES_BEFORE, UNUSED_SINCE, OF_CLIENT = 9, 10, 11, 12, 13

local function status(record, now)
  if record[REVOKED_AT] then
    return 'revoked'
  elseif record[EXPIRES_AT] and record[EXPIRES_AT] <= now then
    return 'expired'
  elseif record[SUSPENDED_AT] then
    return 'suspended'
  elseif record[NOT_BEFORE] and now < record[NOT_BEFORE] then
    return 'not_yet_valid'
  end
  return 'active'
end

-- Whether a text holds another; no character has a meaning.
local function holds(text, part)
  return text and string.find(text, part, 1, true) ~= nil
end

-- Whether a list of words with single spaces between them has a word.
local function lists(words, word)
  return holds(' ' .. words .. ' ', ' ' .. word .. ' ')
end

local function admits(filter, record, now)
  local reach = filter[REACH]
  if reach == 'family' then
    if record[ID] ~= filter[ROOT] and record[PARENT] ~= filter[ROOT] then
      return false
    end
  elseif reach ~= 'all' then
    if record[TENANT] ~= filter[IN_TENANT] then
      return false
    end
    if reach == 'owner' and record[OWNER] ~= filter[OF_OWNER] then
      return false
    end
  end
  local expires, text = record[EXPIRES_AT], filter[TEXT]
  return (not filter[IN_KINDS] or lists(filter[IN_KINDS], record[KIND]))
    and (not filter[STATUSES] or lists(filter[STATUSES], status(record, now)))
    and (not text or holds(record[NAME_KEY], text) or holds(record[DESCRIPTION_KEY], text)
      or holds(string.lower(record[ID]), text))
    and (not filter[SCOPE] or lists(record[SCOPES], filter[SCOPE]))
    and (not filter[CREATED_BEFORE] or record[CREATED_AT] < filter[CREATED_BEFORE])
    and (not filter[EXPIRES_FROM] or (expires and expires >= filter[EXPIRES_FROM]))
    and (not filter[EXPIRES_BEFORE] or (expires and expires < filter[EXPIRES_BEFORE]))
    and (not filter[UNUSED_SINCE] or (record[USED_AT] or AT_ONCE) < filter[UNUSED_SINCE])
    and (not filter[OF_CLIENT] or record[CLIENT] == filter[OF_CLIENT])
end

-- The ids among which a filter's records are: those given, else an owner's or a family's.
local function candidates(filter, given)
  if given then
    return given
  end
  local ids = {}
  if filter[REACH] == 'owner' then
    for _, kind in ipairs(KINDS) do
      if not filter[IN_KINDS] or lists(filter[IN_KINDS], kind) then
        for _, id in ipairs(redis.call('HKEYS', owner_key(kind, filter[IN_TENANT], filter[OF_OWNER]))) do
          ids[#ids + 1] = id
        end
      end
    end
  else
    ids = redis.call('SMEMBERS', children_key(filter[ROOT]))
    ids[#ids + 1] = filter[ROOT]
  end
  return ids
end

-- Up to `count` ids in an index's order, and where to go on; nothing if that was the end.
local function walk(index, from, to, descending, count)
  local command = descending and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
  local members = redis.call(command, index_key(index), from, to, 'LIMIT', 0, count)
  local ids = {}
  for i, member in ipairs(members) do
    ids[i] = string.sub(member, -16)
  end
  return ids, members
end
