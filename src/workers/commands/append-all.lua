-- For each run: runId, epoch, seq that the events follow, state ('' for the old one), number of events, the events, then orders of
-- six each: open (call, request, queue, node that is asked to take it at once, model), cancel (call, reason), text (call, text), drop
-- (call), answer (inbox, payload, signal's id), untold (now in ms), line (what a list tells of it,
-- outcome, pipeline), end (record, ms to keep it, now in ms, most that are kept). → `ok` and
-- the calls that a worker was asked to take. Where nothing was written: `older` and the epoch, `gap` and the seq, `broken` and what lies
-- under another key's name.

local function handOver(runId, callId, queue, node)
  local of = redis.call('HMGET', prefix .. ':node:' .. node, 'worker', 'state', 'rate', 'pool')
  if not of[1] or of[2] ~= 'up' or (of[3] and of[3] ~= '') then return false end
  -- Who waits for a slot of the node goes first, in either of its queues.
  for _, name in ipairs({'pool-' .. (of[4] or ''), 'node-' .. node}) do
    local jobs = prefix .. ':' .. name
    if redis.call('LLEN', jobs .. ':wait') > 0 or redis.call('ZCARD', jobs .. ':prioritized') > 0 then return false end
  end
  return redis.call('PUBLISH', prefix .. ':orders:' .. of[1], 'take ' .. runId .. ' ' .. callId .. ' ' .. queue) > 0
end

local function endRun(runId, record, keepMs, now, most)
  local run = prefix .. ':run:' .. runId
  refuseSignals(runId, run, '{{endedAnswer}}')
  redis.call('HSET', run, 'record', record, 'status', 'ended')
  retire(runId, run, keepMs, now, most)
end

-- What an order writes to must be what it takes it for, before anything is written.
local function isUsable(orders, last, runId)
  for i = orders, last, 6 do
    if ARGV[i] == 'open' then
      local found = redis.call('TYPE', prefix .. ':call:' .. runId .. ':' .. ARGV[i + 1]).ok
      if found ~= 'none' and found ~= 'hash' then return false end
    end
  end
  return true
end

local function one(first, last)
  local runId, epoch, seqText, state, count = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3], tonumber(ARGV[first + 4])
  local run = prefix .. ':run:' .. runId
  local old = redis.call('HMGET', run, 'epoch', 'seq', 'owner', 'crashes')
  if old[1] ~= epoch then return {'older', old[1] or ''} end
  if old[2] ~= seqText then return {'gap', old[2] or ''} end
  local seq = tonumber(seqText)
  local events = first + 5
  if not isUsable(events + count, last, runId) then return {'broken', 'the hash of a call'} end
  if count > 0 then
    local stream = prefix .. ':events:' .. runId
    local told = {}
    for i = 1, count do
      told[i] = ARGV[events + i - 1]
      redis.call('XADD', stream, (seq + i) .. '-0', 'e', told[i])
    end
    if state ~= '' then redis.call('HSET', run, 'seq', seq + count, 'state', state)
    else redis.call('HSET', run, 'seq', seq + count) end
    tellReaders(runId, old[3], told)
    -- Its owner got on with it: the ones before did not die of it.
    if old[4] and old[4] ~= '0' then redis.call('HSET', run, 'crashes', 0) end
  elseif state ~= '' then redis.call('HSET', run, 'state', state) end
  local answer = {'ok'}
  for i = events + count, last, 6 do
    local what, a, b, c, d, e = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
    local call = prefix .. ':call:' .. runId .. ':' .. a
    if what == 'open' then
      if redis.call('HSETNX', call, 'request', b) == 1 then
        redis.call('HSET', call, 'status', 'waiting', 'queue', c, 'model', e)
        redis.call('HSET', run, 'active:' .. a, 1)
        if d ~= '' and handOver(runId, a, c, d) then answer[#answer + 1] = a end
      end
    elseif what == 'cancel' then cancelCall(runId, a, b)
    elseif what == 'text' then redis.call('HSET', run, 'text:' .. a, b)
    elseif what == 'drop' then
      redis.call('DEL', call, prefix .. ':news:' .. runId .. ':' .. a)
      redis.call('HDEL', run, 'active:' .. a)
    elseif what == 'answer' then
      post(a, b)
      redis.call('HSET', run, 'signal:' .. c, 2)
    elseif what == 'untold' then
      redis.call('ZADD', prefix .. ':untold', a, runId)
      redis.call('ZREMRANGEBYRANK', prefix .. ':untold', 0, -10001)
    elseif what == 'line' then redis.call('HSET', run, 'line', a, 'outcome', b, 'pipeline', c)
    elseif what == 'end' then endRun(runId, a, b, c, d)
    end
  end
  return answer
end
