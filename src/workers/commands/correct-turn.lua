-- prefix, session, runId, number, the turn as it is to be → `ok`; `changed` where it is not the last one.

local key = sessionKey(ARGV[2])
local field = 'turn:' .. ARGV[3] .. ':' .. ARGV[4]
local of = redis.call('HMGET', key, field, 'places')
local place = of[1] and string.match(of[1], '^%d+')
if not place or place ~= of[2] then return {'changed'} end
local value = place .. ' ' .. ARGV[5]
redis.call('HSET', key, field, value)
redis.call('HINCRBY', key, 'bytes', #value - #of[1])
return {'ok'}
