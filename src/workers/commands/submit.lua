-- prefix, runId, spec, now (ms), tenant, pipeline's name, name of the token that submits it, how many may wait ('' for any number) → `ok` and
-- how many runs of the tenant live, `exists`, or `full` and how many wait.

local prefix, runId, tenant = ARGV[1], ARGV[2], ARGV[5]
local run = prefix .. ':run:' .. runId
if redis.call('EXISTS', run) == 1 then return {'exists'} end
local most = tonumber(ARGV[8] or '')
if most then
  local waiting = redis.call('LLEN', prefix .. ':runs:wait') + redis.call('ZCARD', prefix .. ':runs:prioritized')
  if waiting >= most then return {'full', waiting} end
end
redis.call('HSET', run, 'spec', ARGV[3], 'status', 'live', 'epoch', 0, 'seq', 0, 'tenant', tenant, 'submitted', ARGV[4])
if ARGV[6] then redis.call('HSET', run, 'pipeline', ARGV[6]) end
if ARGV[7] and ARGV[7] ~= '' then redis.call('HSET', run, 'by', ARGV[7]) end
redis.call('ZADD', prefix .. ':live', ARGV[4], runId)
if tenant ~= '' then redis.call('ZADD', prefix .. ':live-tenant:' .. tenant, ARGV[4], runId) end
return {'ok', redis.call('HINCRBY', prefix .. ':tenants', tenant, 1)}
