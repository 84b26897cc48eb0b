-- prefix, runId, epoch, owner's inbox → `ok`, the run's fields and how many signals it has, `older`, `ended` or `unknown`.

local run = ARGV[1] .. ':run:' .. ARGV[2]
local old = redis.call('HMGET', run, 'status', 'epoch', 'owner')
if not old[1] then return {'unknown'} end
if old[1] == 'ended' then return {'ended'} end
local epoch = tonumber(old[2])
-- The same claim again is a command that was sent again because its answer was lost.
if epoch > tonumber(ARGV[3]) or (epoch == tonumber(ARGV[3]) and old[3] ~= ARGV[4]) then return {'older', old[2]} end
redis.call('HSET', run, 'epoch', ARGV[3], 'owner', ARGV[4])
return {'ok', redis.call('HGETALL', run), redis.call('XLEN', ARGV[1] .. ':signals:' .. ARGV[2])}
