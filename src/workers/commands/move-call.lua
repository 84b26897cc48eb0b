-- prefix, runId, callId, queue → `ok` where the call still waits: its ticket counts in that queue only from now on. Else `late`.

local call = ARGV[1] .. ':call:' .. ARGV[2] .. ':' .. ARGV[3]
if redis.call('HGET', call, 'status') ~= 'waiting' then return {'late'} end
redis.call('HSET', call, 'queue', ARGV[4])
return {'ok'}
