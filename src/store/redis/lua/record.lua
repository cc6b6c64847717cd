-- What the scripts share. A script touches the keys of one shard, which all have the same hash
-- slot: KEYS[1] is the shard, such as `hallpass:{0}`, and every key begins with it.
--
--   SHARD:token:ID                      a record: its columns as a MessagePack list
--   SHARD:owner:KIND:TENANT\31OWNER     hash: an owner's tokens of a kind, each with the instant
--                                       until which it lives and its name's key
--   SHARD:issued:TENANT\31OWNER         hash: idempotency key -> id
--   SHARD:made-from:ID                  set: the ids of the tokens made from a token
--   SHARD:by:INDEX                      sorted sets of equal scores: all records in an order
--   SHARD:changes                       how many changes were told
--   SHARD:revocations                   how many steps revoked something
--
-- Instants are decimal numbers of 18 digits, so that they compare as texts do.

local shard = KEYS[1]
local NEVER = '999999999999999999'
local AT_ONCE = '000000000000000000'
local ID, KIND, TENANT, OWNER, NAME, DESCRIPTION, SCOPES, CREATED_AT = 1, 2, 3, 4, 5, 6, 7, 11
local NOT_BEFORE, EXPIRES_AT, USED_AT, USED_IP, USED_AGENT = 13, 14, 15, 16, 17
local SUSPENDED_AT, REVOKED_AT, REVOKED_BY, REVOKED_REASON = 22, 24, 25, 26
local PARENT, CLIENT, VERSION, ISSUE_KEY = 27, 28, 32, 35
local NAME_KEY, DESCRIPTION_KEY, STEP = 37, 38, 39
local KINDS = {'pat', 'app', 'at', 'rt'}
local INDEXES = {'created', 'name', 'expires', 'used', 'ended'}

local function token_key(id)
  return shard .. ':token:' .. id
end

local function index_key(index)
  return shard .. ':by:' .. index
end

-- Neither a tenant nor an owner holds control characters.
local function owner_key(kind, tenant, owner)
  return shard .. ':owner:' .. kind .. ':' .. tenant .. '\31' .. owner
end

local function issued_key(record)
  return shard .. ':issued:' .. record[TENANT] .. '\31' .. record[OWNER]
end

local function children_key(id)
  return shard .. ':made-from:' .. id
end

local function read(id)
  local packed = redis.call('GET', token_key(id))
  if not packed then
    return nil
  end
  local good, record = pcall(cmsgpack.unpack, packed)
  if not good or type(record) ~= 'table' or record[ID] ~= id then
    error('CORRUPT ' .. id .. ' ')
  end
  return record, packed
end

local function used_place(record)
  return (record[USED_AT] or AT_ONCE) .. record[ID]
end

-- The places of a record in the indexes.
local function places(record)
  if not record then
    return {}
  end
  local id, expires, ended = record[ID], record[EXPIRES_AT], record[REVOKED_AT]
  if expires and not (ended and ended < expires) then
    ended = expires
  end
  local class = record[KIND] == 'at' and 'a' or 'k'
  return {
    created = record[CREATED_AT] .. id,
    name = record[NAME_KEY] .. '\0' .. id,
    expires = (expires or NEVER) .. id,
    used = used_place(record),
    ended = ended and class .. ended .. id,
  }
end

-- What the owner's hash says of a record.
local function entry(record)
  local alive_until = record[REVOKED_AT] and AT_ONCE or record[EXPIRES_AT] or NEVER
  return alive_until .. record[NAME_KEY]
end

local function is_alive(entry, now)
  return string.sub(entry, 1, 18) > now
end

-- Fails where a key is just being moved to another node, before anything is written. Inside a
-- script that is the only way to change all keys or none.
local function guard(record)
  local id = record[ID]
  local keys = {token_key(id), owner_key(record[KIND], record[TENANT], record[OWNER]),
    issued_key(record), children_key(record[PARENT] or id), shard .. ':changes',
    shard .. ':revocations'}
  for _, index in ipairs(INDEXES) do
    keys[#keys + 1] = index_key(index)
  end
  redis.call('EXISTS', unpack(keys))
end

-- Writes a record in place of an older one.
local function write(old, new)
  local id = new[ID]
  local packed = cmsgpack.pack(new)
  redis.call('SET', token_key(id), packed)
  local before, after = places(old), places(new)
  for _, index in ipairs(INDEXES) do
    if before[index] ~= after[index] then
      if before[index] then
        redis.call('ZREM', index_key(index), before[index])
      end
      if after[index] then
        redis.call('ZADD', index_key(index), 0, after[index])
      end
    end
  end
  if not old or entry(old) ~= entry(new) then
    redis.call('HSET', owner_key(new[KIND], new[TENANT], new[OWNER]), id, entry(new))
  end
  return packed
end

-- Tells every node of a change: the shard, the number of the change, the id, the version.
local function tell(record)
  local number = redis.call('INCR', shard .. ':changes')
  local prefix, shard_number = string.match(shard, '^(.*){(%d+)}$')
  local message = shard_number .. ' ' .. number .. ' ' .. record[ID] .. ' ' .. record[VERSION]
  redis.call('PUBLISH', prefix .. 'changes', message)
end

local function counted_up(version)
  return string.format('%.0f', version + 1)
end

-- Another live token of the owner that has a name, and how many live tokens there are of the kind.
local function look_around(record, name_key, now)
  local holder, alive = nil, 0
  local entries = redis.call('HGETALL', owner_key(record[KIND], record[TENANT], record[OWNER]))
  for i = 1, #entries, 2 do
    local id, said = entries[i], entries[i + 1]
    if is_alive(said, now) then
      alive = alive + 1
      if id ~= record[ID] and string.sub(said, 19) == name_key then
        holder = holder or id
      end
    end
  end
  return holder, alive
end
