-- prefix, session, tenant, '1' where it may count for any tenant → `ok` and the run that was live in it ('' for none), once its
-- turns are deleted and what waited in it is dropped; `gone` where there is none, or where it counts for another tenant.

local session = ARGV[2]
local key, waiting = sessionKey(session), waitingKey(session)
if redis.call('EXISTS', key) == 0 then return {'gone'} end
if ARGV[4] ~= '1' and isForeign(session, ARGV[3]) then return {'gone'} end
local live = redis.call('HGET', key, 'live')
for _, runId in ipairs(redis.call('LRANGE', waiting, 0, -1)) do dropRun(runId) end
redis.call('DEL', key, waiting)
return {'ok', isLive(live) and live or ''}
