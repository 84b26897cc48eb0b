-- For each run: runId, epoch, seq that the events follow, state ('' for the old one), number of events, the events, then orders of
-- six each: open (call, request, queue, an offer's number and the node that is to make it at once ('' for none), model), cancel (call, reason),
-- text (call, text), drop
-- (call), turn (number, JSON, ms to keep its session, most bytes of it), seen (the run that an input would have become), answer (inbox, payload, signal's id), untold (now in ms), line (what a list tells of it,
-- outcome, pipeline), end (record, ms to keep it, now in ms, most that are kept). → `ok` and
-- the calls that a worker was asked to take; at the end of a run `next ` and the run of its session whose turn it is. Where nothing was written: `older` and the epoch, `gap` and the seq, `broken` and what lies
-- under another key's name.

-- A larger request is read by the worker itself: what is published must not fill the buffer of its connection.
local mostPublished = 65536

-- The worker of a node that may take a call without a ticket, and the term of its lease.
local function takerOf(node)
  local of = redis.call('HMGET', prefix .. ':node:' .. node, 'worker', 'state', 'rate', 'pool', 'term')
  if not of[1] or of[2] ~= 'up' or (of[3] and of[3] ~= '') then return nil end
  -- Who waits for a slot of the node goes first, in either of its queues.
  for _, name in ipairs({'pool-' .. (of[4] or ''), 'node-' .. node}) do
    local jobs = prefix .. ':' .. name
    if redis.call('LLEN', jobs .. ':wait') > 0 or redis.call('ZCARD', jobs .. ':prioritized') > 0 then return nil end
  end
  return of[1], of[5]
end

-- Writes a call that is opened, and hands it over to the worker of a node where there is one: it is that worker's from now on, as if it had
-- claimed it, and no ticket takes it while that worker lives. A worker that tells no term claims it itself. Answers whether one was asked.
local function openCall(call, runId, callId, request, queue, offer, model)
  local number, node = string.match(offer, '^(%S+) (.+)$')
  local worker, term
  if node then worker, term = takerOf(node) end
  local isGiven = worker and term and #request <= mostPublished
  if not isGiven then
    redis.call('HSET', call, 'request', request, 'status', 'waiting', 'queue', queue, 'model', model)
    return worker and redis.call('PUBLISH', prefix .. ':orders:' .. worker, 'take ' .. runId .. ' ' .. callId .. ' ' .. queue) > 0
  end
  local claim = 'direct ' .. worker .. ' ' .. number
  redis.call('HSET', call, 'request', request, 'status', 'active', 'queue', queue, 'model', model, 'claim', claim, 'worker', worker, 'node', node)
  local order = 'begin ' .. runId .. ' ' .. callId .. ' ' .. number .. ' ' .. term .. ' ' .. request
  if redis.call('PUBLISH', prefix .. ':orders:' .. worker, order) > 0 then return true end
  -- Nobody listens there: nobody has heard that it was given away.
  redis.call('HSET', call, 'status', 'waiting', 'claim', '')
  return false
end

-- Which calls stand in Redis already, of those that are to be opened; nil where something else lies under the key of one.
local function standing(orders, last, runId)
  local stand = {}
  for i = orders, last, 6 do
    if ARGV[i] == 'open' then
      local found = redis.pcall('HEXISTS', prefix .. ':call:' .. runId .. ':' .. ARGV[i + 1], 'request')
      if type(found) == 'table' then return nil end
      stand[ARGV[i + 1]] = found == 1
    end
  end
  return stand
end

local function one(first, last)
  local runId, epoch, seqText, state, count = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3], tonumber(ARGV[first + 4])
  local run = prefix .. ':run:' .. runId
  local old = redis.call('HMGET', run, 'epoch', 'seq', 'owner', 'crashes')
  if old[1] ~= epoch then return {'older', old[1] or ''} end
  if old[2] ~= seqText then return {'gap', old[2] or ''} end
  local seq = tonumber(seqText)
  local events = first + 5
  local stand = standing(events + count, last, runId)
  if not stand then return {'broken', 'the hash of a call'} end
  -- What goes into the run's hash, and out of it: together, for each command has its price.
  local set, gone = {}, {}
  local function write()
    if #set > 0 then redis.call('HSET', run, unpack(set)) end
    if #gone > 0 then redis.call('HDEL', run, unpack(gone)) end
    set, gone = {}, {}
  end
  local function put(field, value)
    set[#set + 1] = field
    set[#set + 1] = value
    if #set >= 1000 then write() end
  end
  local function take(field)
    gone[#gone + 1] = field
    if #gone >= 1000 then write() end
  end
  if count > 0 then
    local stream = prefix .. ':events:' .. runId
    local told = {}
    for i = 1, count do
      told[i] = ARGV[events + i - 1]
      redis.call('XADD', stream, (seq + i) .. '-0', 'e', told[i])
    end
    put('seq', seq + count)
    -- Its owner got on with it: the ones before did not die of it.
    if old[4] and old[4] ~= '0' then put('crashes', 0) end
    tellReaders(runId, old[3], told)
  end
  if state ~= '' then put('state', state) end
  local answer = {'ok'}
  for i = events + count, last, 6 do
    local what, a, b, c, d, e = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
    local call = prefix .. ':call:' .. runId .. ':' .. a
    if what == 'open' then
      if not stand[a] then
        if openCall(call, runId, a, b, c, d, e) then answer[#answer + 1] = a end
        put('active:' .. a, 1)
      end
    elseif what == 'cancel' then
      write()
      cancelCall(runId, a, b)
    elseif what == 'text' then put('text:' .. a, b)
    elseif what == 'drop' then
      redis.call('DEL', call, prefix .. ':news:' .. runId .. ':' .. a)
      take('active:' .. a)
    elseif what == 'answer' then
      post(a, b)
      put('signal:' .. c, 2)
    elseif what == 'turn' or what == 'seen' then
      local session = redis.call('HGET', run, 'session')
      if session and what == 'turn' then writeTurn(session, runId, a, b, c, d)
      elseif session then seenInSession(session, a) end
    elseif what == 'untold' then
      redis.call('ZADD', prefix .. ':untold', a, runId)
      redis.call('ZREMRANGEBYRANK', prefix .. ':untold', 0, -10001)
    elseif what == 'line' then
      put('line', a)
      put('outcome', b)
      put('pipeline', c)
    elseif what == 'end' then
      put('record', a)
      put('status', 'ended')
      write()
      refuseSignals(runId, run, '{{endedAnswer}}')
      local following = retire(runId, run, b, c, d)
      if following then answer[#answer + 1] = 'next ' .. following end
    end
  end
  write()
  return answer
end
