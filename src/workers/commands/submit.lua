-- prefix, runId, spec, now (ms), tenant → `ok` and how many runs of the tenant live, or `exists`.

local run = ARGV[1] .. ':run:' .. ARGV[2]
if redis.call('EXISTS', run) == 1 then return {'exists'} end
redis.call('HSET', run, 'spec', ARGV[3], 'status', 'live', 'epoch', 0, 'seq', 0, 'tenant', ARGV[5], 'submitted', ARGV[4])
redis.call('ZADD', ARGV[1] .. ':live', ARGV[4], ARGV[2])
return {'ok', redis.call('HINCRBY', ARGV[1] .. ':tenants', ARGV[5], 1)}
