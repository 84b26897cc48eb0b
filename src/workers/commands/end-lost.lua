-- prefix, runId, callId, batch that ends it → `ended` where the call was in the hands of a worker that is gone: as cancelled if it was to
-- stop, else with the batch. `kept` where it waits, has ended, or its worker lives.

local runId, callId = ARGV[2], ARGV[3]
local of = redis.call('HMGET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'worker', 'node', 'cancel')
if of[1] ~= 'active' or isThere(of[3], of[2]) then return {'kept'} end
endCall(runId, callId, of[4] and cancelledEnd or ARGV[4])
deliver()
return {'ended'}
