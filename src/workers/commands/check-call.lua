-- prefix, runId, callId: an owner has heard nothing of a call → `waits` where nobody has it; `asked` where it was given to a worker that has
-- told nothing, which is asked whether it knows of it; else `kept`.

local runId, callId = ARGV[2], ARGV[3]
local of = redis.pcall('HMGET', ARGV[1] .. ':call:' .. runId .. ':' .. callId, 'status', 'claim', 'worker')
if of.err then return {'kept'} end
if of[1] == 'waiting' then return {'waits'} end
local number = string.match(of[2] or '', '^direct %S+ (%S+)$')
if of[1] ~= 'active' or not number then return {'kept'} end
local news = redis.pcall('XLEN', ARGV[1] .. ':news:' .. runId .. ':' .. callId)
if type(news) == 'table' or news > 0 then return {'kept'} end
redis.call('PUBLISH', ARGV[1] .. ':orders:' .. of[3], 'check ' .. runId .. ' ' .. callId .. ' ' .. number)
return {'asked'}
