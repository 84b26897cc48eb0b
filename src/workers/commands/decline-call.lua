-- prefix, runId, callId: a worker can't take the call that it was asked to take. It waits again, or ends where it was to stop; tells the
-- run's owner.

local runId, callId = ARGV[2], ARGV[3]
local call = prefix .. ':call:' .. runId .. ':' .. callId
local of = redis.pcall('HMGET', call, 'status', 'cancel')
if of[1] == 'offered' then
  if of[2] then endCall(runId, callId, cancelledEnd)
  else redis.call('HSET', call, 'status', 'waiting') end
end
local owner = ownerOf(runId)
if owner then post(owner, '["declined","' .. runId .. '","' .. callId .. '"]') end
deliver()
return {'ok'}
