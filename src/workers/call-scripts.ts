import { forEach, parts } from './script-parts.ts'

/**
 * prefix, runId, callId, claim (kind, worker and job), queue, node, batch that ends it where its worker is lost, worker → `ok` and the
 * request; else why it is not to be run: `gone`, `ended`, `moved`, `taken`, `lost`. A claim of the kind `direct` is no ticket's, so
 * a ticket that finds one says nothing of its worker.
 */
export const claimCall = `${parts}
local runId, callId = ARGV[2], ARGV[3]
local call = prefix .. ':call:' .. runId .. ':' .. callId
local of = redis.call('HMGET', call, 'status', 'queue', 'request', 'claim', 'worker', 'node')
if not of[1] then return {'gone'} end
if of[1] == 'ended' then return {'ended'} end
if of[2] ~= ARGV[5] then return {'moved'} end
if of[1] == 'active' then
  if of[4] == ARGV[4] then return {'ok', of[3]} end
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
return {'ok', of[3]}
`

/** For each: runId, callId, claim, batch, '1' where it holds the end, its index → `ok`, or `refused` to a worker that has lost the call. */
export const tellAll = forEach(`
local function one(first)
  local runId, callId, claim, batch, ends, number = unpack(ARGV, first, first + 5)
  local of = redis.call('HMGET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'claim')
  if of[2] ~= claim then return {'refused'} end
  local stream = prefix .. ':news:' .. runId .. ':' .. callId
  local index = redis.call('XLEN', stream)
  -- Sent again because its answer was lost.
  if index > tonumber(number) then return {'ok'} end
  if of[1] ~= 'active' or index < tonumber(number) then return {'refused'} end
  if ends == '1' then endCall(runId, callId, batch, index)
  else
    redis.call('XADD', stream, '*', 'd', batch)
    postNews(runId, callId, index, batch)
  end
  return {'ok'}
end
`)

/** prefix, runId, callId, queue → `ok` where the call still waits: its ticket counts in that queue only from now on. Else `late`. */
export const moveCall = `
local call = ARGV[1] .. ':call:' .. ARGV[2] .. ':' .. ARGV[3]
if redis.call('HGET', call, 'status') ~= 'waiting' then return {'late'} end
redis.call('HSET', call, 'queue', ARGV[4])
return {'ok'}
`

/**
 * prefix, runId, callId, batch that ends it → `ended` where the call was in the hands of a worker that is gone: as cancelled if it was to
 * stop, else with the batch. `kept` where it waits, has ended, or its worker lives.
 */
export const endLost = `${parts}
local runId, callId = ARGV[2], ARGV[3]
local of = redis.call('HMGET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'worker', 'node', 'cancel')
if of[1] ~= 'active' or isThere(of[3], of[2]) then return {'kept'} end
endCall(runId, callId, of[4] and cancelledEnd or ARGV[4])
deliver()
return {'ended'}
`

/** prefix, runId, callId: a worker can't take the call that it was asked to take; tells the run's owner. */
export const declineCall = `${parts}
local owner = redis.call('HGET', prefix .. ':run:' .. ARGV[2], 'owner')
if owner then post(owner, '["declined","' .. ARGV[2] .. '","' .. ARGV[3] .. '"]') end
deliver()
return {'ok'}
`
