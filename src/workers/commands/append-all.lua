-- For each run: runId, epoch, seq that the events follow, state ('' for the old one), number of events, the events, then orders of
-- five each: open (call, request, queue, node that is asked to take it at once), cancel (call, reason), text (call, text), drop
-- (call), answer (inbox, payload, signal's id), untold (now in ms), line (what a list tells of it, outcome, pipeline), end (record, ms to keep it, now in ms, most that are kept). → `ok` and the calls that a worker was
-- asked to take; `older` and the epoch, `gap` and the seq, where nothing was written.

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

-- Signals that crossed the end: their senders wait, and the owner can write nothing of the run any more.
local function refuseSignals(runId, run)
  for _, entry in ipairs(redis.call('XRANGE', prefix .. ':signals:' .. runId, '-', '+')) do
    local signal = cjson.decode(entry[2][2])
    if signal[1] == 'interrupt' and redis.call('HGET', run, 'signal:' .. signal[3].id) == '1' then
      post(signal[3].inbox, '["answer","' .. signal[3].id .. '",{{endedAnswer}}]')
    end
  end
end

local function endRun(runId, record, keepMs, now, most)
  local run = prefix .. ':run:' .. runId
  refuseSignals(runId, run)
  redis.call('HSET', run, 'record', record, 'status', 'ended')
  redis.call('HDEL', run, 'state', 'owner')
  for _, field in ipairs(redis.call('HKEYS', run)) do
    local kind = string.match(field, '^(%a+):')
    if kind == 'text' or kind == 'signal' or kind == 'active' then redis.call('HDEL', run, field) end
  end
  redis.call('DEL', prefix .. ':signals:' .. runId)
  for _, kind in ipairs({':run:', ':events:', ':readers:'}) do redis.call('PEXPIRE', prefix .. kind .. runId, keepMs) end
  redis.call('ZREM', prefix .. ':live', runId)
  local tenant = redis.call('HGET', run, 'tenant') or ''
  if redis.call('HINCRBY', prefix .. ':tenants', tenant, -1) <= 0 then redis.call('HDEL', prefix .. ':tenants', tenant) end
  if tenant ~= '' then redis.call('ZREM', prefix .. ':live-tenant:' .. tenant, runId) end
  local finished = prefix .. ':finished'
  redis.call('ZADD', finished, now, runId)
  enlist(runId, now, tonumber(keepMs), tonumber(now) - tonumber(keepMs))
  local over = redis.call('ZCARD', finished) - tonumber(most)
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', finished, 0, math.min(over, 100) - 1)) do
      for _, set in ipairs(endedSets(old)) do redis.call('ZREM', set, old) end
      redis.call('DEL', prefix .. ':run:' .. old, prefix .. ':events:' .. old, prefix .. ':readers:' .. old)
      redis.call('ZREM', finished, old)
    end
  end
end

local function tellReaders(runId, owner, first, last)
  local readers = prefix .. ':readers:' .. runId
  local inboxes = redis.call('SMEMBERS', readers)
  if #inboxes == 0 then return end
  local batch = '["events","' .. runId .. '",[' .. table.concat(ARGV, ',', first, last) .. '],"' .. (owner or '') .. '"]'
  for _, inbox in ipairs(inboxes) do
    if not post(inbox, batch) then redis.call('SREM', readers, inbox) end
  end
end

local function one(first, last)
  local runId, epoch, seqText, state, count = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3], tonumber(ARGV[first + 4])
  local run = prefix .. ':run:' .. runId
  local old = redis.call('HMGET', run, 'epoch', 'seq', 'owner')
  if old[1] ~= epoch then return {'older', old[1] or ''} end
  if old[2] ~= seqText then return {'gap', old[2] or ''} end
  local seq = tonumber(seqText)
  local events = first + 5
  if count > 0 then
    local stream = prefix .. ':events:' .. runId
    for i = 1, count do redis.call('XADD', stream, (seq + i) .. '-0', 'e', ARGV[events + i - 1]) end
    if state ~= '' then redis.call('HSET', run, 'seq', seq + count, 'state', state)
    else redis.call('HSET', run, 'seq', seq + count) end
    tellReaders(runId, old[3], events, events + count - 1)
  elseif state ~= '' then redis.call('HSET', run, 'state', state) end
  local answer = {'ok'}
  for i = events + count, last, 5 do
    local what, a, b, c, d = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
    local call = prefix .. ':call:' .. runId .. ':' .. a
    if what == 'open' then
      if redis.call('HSETNX', call, 'request', b) == 1 then
        redis.call('HSET', call, 'status', 'waiting', 'queue', c)
        if d ~= '' and handOver(runId, a, c, d) then answer[#answer + 1] = a end
      end
    elseif what == 'cancel' then cancelCall(runId, a, b)
    elseif what == 'text' then redis.call('HSET', run, 'text:' .. a, b)
    elseif what == 'drop' then redis.call('DEL', call, prefix .. ':news:' .. runId .. ':' .. a)
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
