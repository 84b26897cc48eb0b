-- prefix, runId, callId, claim (kind, worker and job), queue, node, batch that ends it where its worker is lost, worker,
-- the models of its node, each between two line breaks ('' for any) → `ok` and the
-- request; else why it is not to be run: `gone`, `ended`, `moved`, `taken`, `lost`, `elsewhere` where the node has not got its model, which
-- the run's owner is told. A claim of the kind `direct` is no ticket's, so
-- a ticket that finds one says nothing of its worker.

local runId, callId = ARGV[2], ARGV[3]
local call = prefix .. ':call:' .. runId .. ':' .. callId
local of = redis.pcall('HMGET', call, 'status', 'queue', 'request', 'claim', 'worker', 'node', 'model')
if of.err or not of[1] then return {'gone'} end
if of[1] == 'ended' then return {'ended'} end
if of[2] ~= ARGV[5] then return {'moved'} end
if of[1] == 'active' then
  if of[4] == ARGV[4] then return {'ok', of[3] or ''} end
  local isDirect = string.sub(of[4], 1, 7) == 'direct ' or string.sub(ARGV[4], 1, 7) == 'direct '
  if isDirect and isThere(of[6], of[5]) then return {'taken'} end
  endCall(runId, callId, ARGV[7])
  deliver()
  return {'lost'}
end
if ARGV[9] ~= '' and of[7] and not string.find(ARGV[9], '\n' .. of[7] .. '\n', 1, true) then
  local owner = ownerOf(runId)
  if owner then post(owner, '["declined","' .. runId .. '","' .. callId .. '"]') end
  deliver()
  return {'elsewhere'}
end
redis.call('HSET', call, 'status', 'active', 'claim', ARGV[4], 'worker', ARGV[8], 'node', ARGV[6])
return {'ok', of[3] or ''}
