-- prefix, runId, payload, an id of its own, reason ('' for no cancel) → `ok` and the signal's number; `ended`, `unknown`; `broken` where the
-- run's signals can't be kept, and nothing was written. A cancel goes to the workers of the run's calls as well, after its owner was told.

local runId = ARGV[2]
local run = prefix .. ':run:' .. runId
local of = redis.pcall('HMGET', run, 'status', 'owner')
if of.err then return {'broken'} end
if not of[1] then return {'unknown'} end
if of[1] == 'ended' then return {'ended'} end
local stream = prefix .. ':signals:' .. runId
local count = redis.pcall('XLEN', stream)
if type(count) == 'table' then
  if of[2] then post(of[2], '["look","' .. runId .. '"]') end
  deliver()
  return {'broken'}
end
if redis.call('HSETNX', run, 'signal:' .. ARGV[4], 1) == 0 then return {'ok', 0} end
redis.call('XADD', stream, '*', 'd', ARGV[3])
if of[2] then post(of[2], '["signal","' .. runId .. '",' .. (count + 1) .. ',' .. ARGV[3] .. ']') end
if ARGV[5] ~= '' then
  for _, callId in ipairs(openCalls(run)) do cancelCall(runId, callId, ARGV[5]) end
end
deliver()
return {'ok', count + 1}
