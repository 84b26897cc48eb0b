-- prefix, runId, callId, claim: a worker does not make the call that it was asked to take, or that was given to it under this claim; tells the
-- run's owner. What was given away waits again, or ends where it was to stop. → `ok`; `kept` where the call is not the worker's.

local runId, callId, claim = ARGV[2], ARGV[3], ARGV[4]
local call = prefix .. ':call:' .. runId .. ':' .. callId
if claim ~= '' then
  local of = redis.pcall('HMGET', call, 'status', 'claim', 'cancel')
  if of.err or of[1] ~= 'active' or of[2] ~= claim then return {'kept'} end
  if of[3] then
    endCall(runId, callId, cancelledEnd)
    deliver()
    return {'ok'}
  end
  redis.call('HSET', call, 'status', 'waiting', 'claim', '')
end
local owner = ownerOf(runId)
if owner then post(owner, '["declined","' .. runId .. '","' .. callId .. '"]') end
deliver()
return {'ok'}
