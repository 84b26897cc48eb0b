import { appendAll } from './append-script.ts'
import { claimCall, declineCall, endLost, moveCall, tellAll } from './call-scripts.ts'
import { parts } from './script-parts.ts'

/**
 * The steps on Redis that must be whole. Keys are built inside of them from the prefix, all with its one hash tag, so that they run
 * on a cluster too. Each answers with a list whose first entry says what happened.
 */

/** prefix, runId, spec, now (ms), tenant → `ok` and how many runs of the tenant live, or `exists`. */
const submit = `
local run = ARGV[1] .. ':run:' .. ARGV[2]
if redis.call('EXISTS', run) == 1 then return {'exists'} end
redis.call('HSET', run, 'spec', ARGV[3], 'status', 'live', 'epoch', 0, 'seq', 0, 'tenant', ARGV[5], 'submitted', ARGV[4])
redis.call('ZADD', ARGV[1] .. ':live', ARGV[4], ARGV[2])
return {'ok', redis.call('HINCRBY', ARGV[1] .. ':tenants', ARGV[5], 1)}
`

/** prefix, runId, epoch, owner's inbox → `ok`, the run's fields and how many signals it has, `older`, `ended` or `unknown`. */
const claimRun = `
local run = ARGV[1] .. ':run:' .. ARGV[2]
local old = redis.call('HMGET', run, 'status', 'epoch', 'owner')
if not old[1] then return {'unknown'} end
if old[1] == 'ended' then return {'ended'} end
local epoch = tonumber(old[2])
-- The same claim again is a command that was sent again because its answer was lost.
if epoch > tonumber(ARGV[3]) or (epoch == tonumber(ARGV[3]) and old[3] ~= ARGV[4]) then return {'older', old[2]} end
redis.call('HSET', run, 'epoch', ARGV[3], 'owner', ARGV[4])
return {'ok', redis.call('HGETALL', run), redis.call('XLEN', ARGV[1] .. ':signals:' .. ARGV[2])}
`

/**
 * prefix, runId, payload, an id of its own, reason ('' for no cancel) → `ok` and the signal's number; `ended`, `unknown`. A cancel goes
 * to the workers of the run's calls as well, after its owner was told.
 */
const signal = `${parts}
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
`

/** prefix, runId, inbox → `ok`, the run's status and last seq; `unknown`. From now on events come into the inbox. */
const follow = `
local run = ARGV[1] .. ':run:' .. ARGV[2]
local of = redis.call('HMGET', run, 'status', 'seq')
if not of[1] then return {'unknown'} end
redis.call('SADD', ARGV[1] .. ':readers:' .. ARGV[2], ARGV[3])
local left = redis.call('PTTL', run)
if left > 0 then redis.call('PEXPIRE', ARGV[1] .. ':readers:' .. ARGV[2], left) end
return {'ok', of[1], of[2]}
`

/** prefix, node, worker, ms, a worker that is known to be dead, then fields → `ok`, or `taken`, by whom, its host and its process. */
const registerNode = `
local key = ARGV[1] .. ':node:' .. ARGV[2]
local worker = redis.call('HGET', key, 'worker')
if worker and worker ~= ARGV[3] and worker ~= ARGV[5] then
  return {'taken', worker, redis.call('HGET', key, 'host'), redis.call('HGET', key, 'pid')}
end
redis.call('HSET', key, 'worker', ARGV[3], unpack(ARGV, 6))
redis.call('PEXPIRE', key, ARGV[4])
redis.call('SADD', ARGV[1] .. ':nodes', ARGV[2])
return {'ok'}
`

/** prefix, node, worker: forgets the node, where it is still this worker's. */
const forgetNode = `
local key = ARGV[1] .. ':node:' .. ARGV[2]
if redis.call('HGET', key, 'worker') ~= ARGV[3] then return {'taken'} end
redis.call('DEL', key)
redis.call('SREM', ARGV[1] .. ':nodes', ARGV[2])
return {'ok'}
`

export const scripts = {
  submit,
  claimRun,
  appendAll,
  claimCall,
  tellAll,
  moveCall,
  endLost,
  declineCall,
  signal,
  follow,
  registerNode,
  forgetNode,
} as const
export type ScriptName = keyof typeof scripts
