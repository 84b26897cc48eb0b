-- prefix, runId, callId: a worker can't take the call that it was asked to take; tells the run's owner.

local owner = redis.call('HGET', prefix .. ':run:' .. ARGV[2], 'owner')
if owner then post(owner, '["declined","' .. ARGV[2] .. '","' .. ARGV[3] .. '"]') end
deliver()
return {'ok'}
