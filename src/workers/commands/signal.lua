-- prefix, runId, payload, an id of its own, reason ('' for no cancel) → `ok` and the signal's number; `ended`, `unknown`; `broken` where the
-- run's signals can't be kept, and nothing was written. A cancel goes to the workers of the run's calls as well, after its owner was told.

local runId = ARGV[2]
local run = prefix .. ':run:' .. runId
local of = redis.pcall('HMGET', run, 'status', 'owner')
if of.err then return {'broken'} end
if not of[1] then return {'unknown'} end
if of[1] == 'ended' then return {'ended'} end
local count = sendSignal(runId, ARGV[3], ARGV[4], of[2])
if not count then
  if of[2] then post(of[2], '["look","' .. runId .. '"]') end
  deliver()
  return {'broken'}
end
if count > 0 and ARGV[5] ~= '' then
  for _, callId in ipairs(openCalls(run)) do cancelCall(runId, callId, ARGV[5]) end
end
deliver()
return {'ok', count}
