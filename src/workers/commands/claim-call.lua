-- prefix, runId, callId, claim (kind, worker and job), queue, node, batch that ends it where its worker is lost, worker → `ok` and the
-- request; else why it is not to be run: `gone`, `ended`, `moved`, `taken`, `lost`. A claim of the kind `direct` is no ticket's, so
-- a ticket that finds one says nothing of its worker.

local runId, callId = ARGV[2], ARGV[3]
local call = prefix .. ':call:' .. runId .. ':' .. callId
local of = redis.pcall('HMGET', call, 'status', 'queue', 'request', 'claim', 'worker', 'node')
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
redis.call('HSET', call, 'status', 'active', 'claim', ARGV[4], 'worker', ARGV[8], 'node', ARGV[6])
-- Where a cancel of the run finds it.
local run = prefix .. ':run:' .. runId
if redis.call('HEXISTS', run, 'status') == 1 then redis.call('HSET', run, 'active:' .. callId, 1) end
return {'ok', of[3] or ''}
