-- prefix, runId, payload, an id of its own, reason ('' for no cancel) → `ok` and the signal's number; `ended`, `unknown`. A cancel goes
-- to the workers of the run's calls as well, after its owner was told.

local runId = ARGV[2]
local run = prefix .. ':run:' .. runId
local of = redis.call('HMGET', run, 'status', 'owner')
if not of[1] then return {'unknown'} end
if of[1] == 'ended' then return {'ended'} end
if redis.call('HSETNX', run, 'signal:' .. ARGV[4], 1) == 0 then return {'ok', 0} end
local stream = prefix .. ':signals:' .. runId
local number = redis.call('XLEN', stream) + 1
redis.call('XADD', stream, '*', 'd', ARGV[3])
if of[2] then post(of[2], '["signal","' .. runId .. '",' .. number .. ',' .. ARGV[3] .. ']') end
if ARGV[5] ~= '' then
  for _, field in ipairs(redis.call('HKEYS', run)) do
    local callId = string.match(field, '^active:(.+)$')
    if callId then cancelCall(runId, callId, ARGV[5]) end
  end
end
deliver()
return {'ok', number}
