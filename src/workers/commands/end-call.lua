-- prefix, runId, callId, batch that ends it, why it is ended: `lost` where only a call in the hands of a worker that is gone is ended (as
-- cancelled if it was to stop, else with the batch), `anyway` where its worker does not answer → `ended`; `kept` where it waits, has
-- ended, or its worker lives; `gone` where there is no such call.

local runId, callId = ARGV[2], ARGV[3]
local of = redis.pcall('HMGET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'worker', 'node', 'cancel')
if of.err or not of[1] then return {'gone'} end
if of[1] == 'ended' then return {'kept'} end
if ARGV[5] == 'lost' and (of[1] ~= 'active' or isThere(of[3], of[2])) then return {'kept'} end
endCall(runId, callId, of[4] and cancelledEnd or ARGV[4])
deliver()
return {'ended'}
