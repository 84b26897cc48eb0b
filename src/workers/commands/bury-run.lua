-- prefix, runId, entry of the list of the dead, most that it keeps, error (JSON), ms since the run's start or 0, ms to keep it, now in ms, most
-- ended runs that are kept, epoch of who says so ('' for whoever finds it) → `ok`; `older` where another owner has it; `ended`. A run
-- that can't go on ends here: its calls are told to stop, its readers have its end, and who waits for an answer to a signal has one.

local runId = ARGV[2]
local run = prefix .. ':run:' .. runId
local of = redis.pcall('HMGET', run, 'status', 'epoch', 'owner', 'seq')
local isRun = not of.err and of[1]
if isRun and of[1] == 'ended' then return {'ended'} end
if isRun and ARGV[10] ~= '' and of[2] ~= ARGV[10] then return {'older'} end
local dead = prefix .. ':dead'
heal(dead, 'list')
redis.call('LPUSH', dead, ARGV[3])
redis.call('LTRIM', dead, 0, tonumber(ARGV[4]) - 1)
if not isRun then
  redis.call('ZREM', prefix .. ':live', runId)
  return {'ok'}
end
for _, callId in ipairs(openCalls(run)) do cancelCall(runId, callId, 'its run was put aside') end
local answer = '{"accepted":false,"code":"CAESURA_E_STATE","reason":"the run was put aside"}'
refuseSignals(runId, run, answer)
-- The last event comes behind those that are kept, whatever they are.
local stream = prefix .. ':events:' .. runId
heal(stream, 'stream')
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
local seq = tonumber(of[4] or '') or 0
local top = last[1] and tonumber(string.match(last[1][1], '^(%d+)%-')) or 0
if top == seq then
  local event = '{"seq":' .. (seq + 1) .. ',"runId":"' .. runId .. '","ms":' .. ARGV[6] .. ',"type":"run-end","outcome":"failed","error":' .. ARGV[5] .. '}'
  redis.call('XADD', stream, (seq + 1) .. '-0', 'e', event)
  redis.call('HSET', run, 'seq', seq + 1)
  tellReaders(runId, of[3] or '', {event})
end
redis.call('HSET', run, 'status', 'ended', 'dead', ARGV[5])
local following = retire(runId, run, ARGV[7], ARGV[8], ARGV[9])
deliver()
return {'ok', following or ''}
