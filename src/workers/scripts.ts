/**
 * The steps on Redis that must be whole. Keys are built inside of them from the prefix, all with its one hash tag, so that they run
 * on a cluster too. Each answers with a list whose first entry says what happened.
 */

/** Shared: hands a payload to the inbox of a process that lives; false where it does not. */
const post = `
local function post(prefix, inbox, payload)
  if redis.call('EXISTS', prefix .. ':alive:' .. inbox) == 0 then return false end
  redis.call('XADD', prefix .. ':inbox:' .. inbox, 'MAXLEN', '~', 50000, '*', 'd', payload)
  return true
end
local function postNews(prefix, runId, callId, index, batch)
  local owner = redis.call('HGET', prefix .. ':run:' .. runId, 'owner')
  if owner then post(prefix, owner, '["news","' .. runId .. '","' .. callId .. '",' .. index .. ',' .. batch .. ']') end
end
local function endCall(prefix, runId, callId, batch)
  local stream = prefix .. ':news:' .. runId .. ':' .. callId
  local index = redis.call('XLEN', stream)
  redis.call('XADD', stream, '*', 'd', batch)
  redis.call('HSET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'ended')
  postNews(prefix, runId, callId, index, batch)
end
`

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
 * prefix, runId, epoch, seq that the events follow, state ('' for the old one), number of events, the events, then orders of three
 * each: open (call, request, queue), cancel (call, reason), text (call, text), drop (call), answer (inbox, payload),
 * end (record, ms to keep it, now in ms, most that are kept).
 */
const append = `${post}
local prefix, runId, count = ARGV[1], ARGV[2], tonumber(ARGV[6])
local run = prefix .. ':run:' .. runId
local old = redis.call('HMGET', run, 'epoch', 'seq')
if old[1] ~= ARGV[3] then return {'older', old[1] or ''} end
if old[2] ~= ARGV[4] then return {'gap', old[2]} end
local seq = tonumber(ARGV[4])
if ARGV[5] ~= '' then redis.call('HSET', run, 'state', ARGV[5]) end
if count > 0 then
  local events = prefix .. ':events:' .. runId
  for i = 1, count do redis.call('XADD', events, (seq + i) .. '-0', 'e', ARGV[6 + i]) end
  redis.call('HSET', run, 'seq', seq + count)
  local readers = prefix .. ':readers:' .. runId
  local inboxes = redis.call('SMEMBERS', readers)
  if #inboxes > 0 then
    local batch = '["events","' .. runId .. '",[' .. table.concat(ARGV, ',', 7, 6 + count) .. ']]'
    for _, inbox in ipairs(inboxes) do
      if not post(prefix, inbox, batch) then redis.call('SREM', readers, inbox) end
    end
  end
end
local i = 7 + count
while ARGV[i] do
  local what, a, b, c, d = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local call = prefix .. ':call:' .. runId .. ':' .. a
  if what == 'open' then
    if redis.call('HSETNX', call, 'request', b) == 1 then redis.call('HSET', call, 'status', 'waiting', 'queue', c) end
  elseif what == 'cancel' then
    local of = redis.call('HMGET', call, 'status', 'worker')
    if redis.call('HSETNX', call, 'cancel', b) == 1 then
      if of[1] == 'active' then redis.call('PUBLISH', prefix .. ':cancels:' .. of[2], runId .. ' ' .. a)
      elseif of[1] == 'waiting' then endCall(prefix, runId, a, '[["end",{"end":"cancelled"}]]') end
    end
  elseif what == 'text' then
    redis.call('HSET', run, 'text:' .. a, b)
  elseif what == 'drop' then
    redis.call('DEL', call, prefix .. ':news:' .. runId .. ':' .. a)
  elseif what == 'answer' then
    post(prefix, a, b)
  elseif what == 'end' then
    redis.call('HSET', run, 'record', a, 'status', 'ended')
    redis.call('HDEL', run, 'state', 'owner')
    for _, field in ipairs(redis.call('HKEYS', run)) do
      if string.sub(field, 1, 5) == 'text:' or string.sub(field, 1, 7) == 'signal:' then redis.call('HDEL', run, field) end
    end
    redis.call('DEL', prefix .. ':signals:' .. runId)
    for _, kind in ipairs({':run:', ':events:', ':readers:'}) do redis.call('PEXPIRE', prefix .. kind .. runId, b) end
    redis.call('ZREM', prefix .. ':live', runId)
    local tenant = redis.call('HGET', run, 'tenant') or ''
    if redis.call('HINCRBY', prefix .. ':tenants', tenant, -1) <= 0 then redis.call('HDEL', prefix .. ':tenants', tenant) end
    local finished = prefix .. ':finished'
    redis.call('ZADD', finished, c, runId)
    redis.call('ZREMRANGEBYSCORE', finished, '-inf', '(' .. (tonumber(c) - tonumber(b)))
    local over = redis.call('ZCARD', finished) - tonumber(d)
    if over > 0 then
      for _, old in ipairs(redis.call('ZRANGE', finished, 0, math.min(over, 100) - 1)) do
        redis.call('DEL', prefix .. ':run:' .. old, prefix .. ':events:' .. old, prefix .. ':readers:' .. old)
        redis.call('ZREM', finished, old)
      end
    end
  end
  i = i + 5
end
return {'ok'}
`

/**
 * prefix, runId, callId, claim (worker and job), queue, node, batch that ends it where its worker is lost, worker → `ok` and the request; else
 * why it is not to be run: `gone`, `ended`, `moved`, `lost`.
 */
const claimCall = `${post}
local prefix, runId, callId = ARGV[1], ARGV[2], ARGV[3]
local call = prefix .. ':call:' .. runId .. ':' .. callId
local of = redis.call('HMGET', call, 'status', 'queue', 'request', 'claim')
if not of[1] then return {'gone'} end
if of[1] == 'ended' then return {'ended'} end
if of[2] ~= ARGV[5] then return {'moved'} end
if of[1] == 'active' then
  if of[4] == ARGV[4] then return {'ok', of[3]} end
  endCall(prefix, runId, callId, ARGV[7])
  return {'lost'}
end
redis.call('HSET', call, 'status', 'active', 'claim', ARGV[4], 'worker', ARGV[8], 'node', ARGV[6])
return {'ok', of[3]}
`

/** prefix, runId, callId, claim, batch, '1' where it holds the end, its index → `ok`, or `refused` to a worker that has lost the call. */
const tellNews = `${post}
local prefix, runId, callId = ARGV[1], ARGV[2], ARGV[3]
local call = prefix .. ':call:' .. runId .. ':' .. callId
local of = redis.call('HMGET', call, 'status', 'claim')
if of[2] ~= ARGV[4] then return {'refused'} end
local stream = prefix .. ':news:' .. runId .. ':' .. callId
local index = redis.call('XLEN', stream)
-- Sent again because its answer was lost.
if index > tonumber(ARGV[7]) then return {'ok'} end
if of[1] ~= 'active' or index < tonumber(ARGV[7]) then return {'refused'} end
if ARGV[6] == '1' then endCall(prefix, runId, callId, ARGV[5])
else
  redis.call('XADD', stream, '*', 'd', ARGV[5])
  postNews(prefix, runId, callId, index, ARGV[5])
end
return {'ok'}
`

/** prefix, runId, callId, queue → `ok` where the call still waits: its ticket counts in that queue only from now on. */
const moveCall = `
local call = ARGV[1] .. ':call:' .. ARGV[2] .. ':' .. ARGV[3]
if redis.call('HGET', call, 'status') ~= 'waiting' then return {'late'} end
redis.call('HSET', call, 'queue', ARGV[4])
return {'ok'}
`

/** prefix, runId, payload, an id of its own → `ok` and the signal's number; `ended`, `unknown`. */
const signal = `${post}
local prefix, runId = ARGV[1], ARGV[2]
local of = redis.call('HMGET', prefix .. ':run:' .. runId, 'status', 'owner')
if not of[1] then return {'unknown'} end
if of[1] == 'ended' then return {'ended'} end
if redis.call('HSETNX', prefix .. ':run:' .. runId, 'signal:' .. ARGV[4], 1) == 0 then return {'ok', 0} end
local stream = prefix .. ':signals:' .. runId
local number = redis.call('XLEN', stream) + 1
redis.call('XADD', stream, '*', 'd', ARGV[3])
if of[2] then post(prefix, of[2], '["signal","' .. runId .. '",' .. number .. ',' .. ARGV[3] .. ']') end
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
  append,
  claimCall,
  tellNews,
  moveCall,
  signal,
  follow,
  registerNode,
  forgetNode,
} as const
export type ScriptName = keyof typeof scripts
