-- Tells one subscriber how many changes of the shard were told before. ARGV: its own channel.
local number = redis.call('GET', shard .. ':changes') or '0'
redis.call('PUBLISH', ARGV[1], string.match(shard, '{(%d+)}$') .. ' ' .. number)
return number
