-- What several of the commands share. Every command that posts ends with `deliver`.

local prefix = ARGV[1]
local mail, inboxes, living, owners = {}, {}, {}, {}

-- For the inbox of a process that lives; false where it does not.
local function post(inbox, payload)
  if living[inbox] == nil then living[inbox] = redis.call('EXISTS', prefix .. ':alive:' .. inbox) == 1 end
  if not living[inbox] then return false end
  if not mail[inbox] then
    mail[inbox] = {}
    inboxes[#inboxes + 1] = inbox
  end
  local letters = mail[inbox]
  letters[#letters + 1] = payload
  return true
end

-- Removes what lies under the name of a key of another type.
local function heal(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then redis.call('DEL', key) end
end

-- One entry an inbox, whatever was posted to it.
local function deliver()
  for _, inbox in ipairs(inboxes) do
    local letters = mail[inbox]
    local payload = letters[1]
    if #letters > 1 then payload = '["many",' .. table.concat(letters, ',') .. ']' end
    local stream = prefix .. ':inbox:' .. inbox
    -- That it is of another type is rare, and asking each time costs as much as writing.
    if type(redis.pcall('XADD', stream, 'MAXLEN', '~', 20000, '*', 'd', payload)) == 'table' then
      heal(stream, 'stream')
      redis.call('XADD', stream, 'MAXLEN', '~', 20000, '*', 'd', payload)
    end
  end
end

local function ownerOf(runId)
  local owner = owners[runId]
  if owner == nil then
    owner = redis.call('HGET', prefix .. ':run:' .. runId, 'owner')
    owners[runId] = owner
  end
  return owner
end

local function postNews(runId, callId, index, batch)
  local owner = ownerOf(runId)
  if owner then post(owner, '["news","' .. runId .. '","' .. callId .. '",' .. index .. ',' .. batch .. ']') end
end

local function endCall(runId, callId, batch, index)
  local stream = prefix .. ':news:' .. runId .. ':' .. callId
  if not index then
    heal(stream, 'stream')
    index = redis.call('XLEN', stream)
  end
  redis.call('XADD', stream, '*', 'd', batch)
  redis.call('HSET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'ended')
  redis.call('HDEL', prefix .. ':run:' .. runId, 'active:' .. callId)
  postNews(runId, callId, index, batch)
end

-- By what a run that has ended is found.
local function placeOf(runId) return redis.call('HMGET', prefix .. ':run:' .. runId, 'outcome', 'tenant', 'pipeline') end

-- The sets in which it is found beside `finished`, with the same score: by outcome, by tenant and by pipeline.
local function endedSets(of)
  local sets = {prefix .. ':ended-outcome:' .. (of[1] or 'unknown')}
  if of[2] and of[2] ~= '' then sets[#sets + 1] = prefix .. ':ended-tenant:' .. of[2] end
  if of[3] and of[3] ~= '' then sets[#sets + 1] = prefix .. ':ended-pipeline:' .. of[3] end
  return sets
end

-- Those by outcome have the very runs of `finished`, whose number tells whether all are in them. The others end by themselves. What ended
-- before `from` is not kept any more.
local function enlist(runId, of, at, keepMs, from)
  local finished, before = prefix .. ':finished', '(' .. string.format('%.17g', from)
  local oldest = redis.call('ZRANGE', finished, 0, 0, 'WITHSCORES')[2]
  if oldest and tonumber(oldest) < from then
    redis.call('ZREMRANGEBYSCORE', finished, '-inf', before)
    for _, each in ipairs({'completed', 'cancelled', 'failed', 'unknown'}) do
      redis.call('ZREMRANGEBYSCORE', prefix .. ':ended-outcome:' .. each, '-inf', before)
    end
  end
  for i, set in ipairs(endedSets(of)) do
    redis.call('ZADD', set, at, runId)
    if i > 1 then
      -- Now and then: what is found in it and not kept any more is left out of a list.
      if at % 16 < 1 then redis.call('ZREMRANGEBYSCORE', set, '-inf', before) end
      redis.call('PEXPIRE', set, keepMs + 60000)
    end
  end
end

local cancelledEnd = '[["end",{"end":"cancelled"}]]'

-- Whether this worker still serves the node under whose name it took a call.
local function isThere(node, worker)
  return worker and redis.call('HGET', prefix .. ':node:' .. (node or ''), 'worker') == worker
end

-- Once a call: ends one that waits, and tells the worker of one that is under way, where that worker lives.
local function cancelCall(runId, callId, reason)
  local call = prefix .. ':call:' .. runId .. ':' .. callId
  local of = redis.pcall('HMGET', call, 'status', 'worker', 'node')
  if of.err then return heal(call, 'hash') end
  if not of[1] or of[1] == 'ended' or redis.call('HSETNX', call, 'cancel', reason) == 0 then return end
  if of[1] == 'active' and isThere(of[3], of[2]) then
    redis.call('PUBLISH', prefix .. ':orders:' .. of[2], 'cancel ' .. runId .. ' ' .. callId)
  else endCall(runId, callId, cancelledEnd) end
end

-- The calls of a run that have not ended.
local function openCalls(run)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', run)) do
    local callId = string.match(field, '^active:(.+)$')
    if callId then found[#found + 1] = callId end
  end
  return found
end

-- Answers those who sent signals that nobody will decide any more: the one who would have can write nothing of the run. No text of a
-- person is decoded here: who waits stands at the end of what the client wrote.
local function refuseSignals(runId, run, answer)
  local entries = redis.pcall('XRANGE', prefix .. ':signals:' .. runId, '-', '+')
  if entries.err then return end
  for _, entry in ipairs(entries) do
    local inbox, id = string.match(entry[2][2] or '', '{"inbox":"([%w-]+)","id":"([%w-]+)"}%]$')
    if id and redis.call('HGET', run, 'signal:' .. id) == '1' then post(inbox, '["answer","' .. id .. '",' .. answer .. ']') end
  end
end

-- Tells the inboxes that follow a run of its events: a list of JSON texts.
local function tellReaders(runId, owner, events)
  local readers = prefix .. ':readers:' .. runId
  local following = redis.pcall('SMEMBERS', readers)
  if following.err then return redis.call('DEL', readers) end
  if #following == 0 then return end
  local batch = '["events","' .. runId .. '",[' .. table.concat(events, ',') .. '],"' .. (owner or '') .. '"]'
  for _, inbox in ipairs(following) do
    if not post(inbox, batch) then redis.call('SREM', readers, inbox) end
  end
end

-- A session is a hash: its tenant, its live run, its turns (`turn:RUN:NUMBER`: its place, then JSON), how many bytes they have, and the runs that may
-- write there (`open:RUN`). Beside it lies a list of the runs that its inputs become where no visit of the live run sees them, in the order in
-- which they were said.
local function sessionKey(id) return prefix .. ':session:' .. id end
local function waitingKey(id) return prefix .. ':session-waiting:' .. id end

local function isLive(runId) return runId and redis.call('HGET', prefix .. ':run:' .. runId, 'status') == 'live' end

-- Whether a session counts for another tenant.
local function isForeign(id, tenant)
  local owner = redis.call('HGET', sessionKey(id), 'tenant')
  return owner and owner ~= tenant
end

-- A run of the session may write its turns from now on.
local function openInSession(id, runId, tenant, keepMs)
  redis.call('HSET', sessionKey(id), 'tenant', tenant, 'open:' .. runId, 1)
  redis.call('HSET', prefix .. ':run:' .. runId, 'session', id)
  redis.call('PEXPIRE', sessionKey(id), keepMs)
end

-- Makes the first run that waits the live one, where there is none; nil where nothing waits.
local function nextInSession(id)
  local key, waiting = sessionKey(id), waitingKey(id)
  if isLive(redis.call('HGET', key, 'live')) then return nil end
  redis.call('HDEL', key, 'live')
  while true do
    local runId = redis.call('LINDEX', waiting, 0)
    if not runId then return nil end
    redis.call('LREM', waiting, 1, runId)
    if isLive(runId) then
      redis.call('HSET', key, 'live', runId)
      redis.call('HDEL', prefix .. ':run:' .. runId, 'waits')
      return runId
    end
  end
end

-- The run has ended. Answers the one whose turn it is, if it was the live one.
local function endInSession(id, runId)
  local key = sessionKey(id)
  redis.call('HDEL', key, 'open:' .. runId)
  if redis.call('HGET', key, 'live') ~= runId then return nil end
  redis.call('HDEL', key, 'live')
  return nextInSession(id)
end

-- A run that waits never begins: its input was seen, or its session is deleted. What became of its input is known for a while, in case it is said again
-- because the answer was lost.
local function dropRun(runId)
  local run = prefix .. ':run:' .. runId
  local of = redis.call('HMGET', run, 'tenant', 'became', 'with', 'waits')
  if not of[4] then return end
  local tenant = of[1] or ''
  redis.call('DEL', run, prefix .. ':signals:' .. runId, prefix .. ':readers:' .. runId)
  redis.call('HSET', run, 'became', of[2] or '', 'with', of[3] or '')
  redis.call('PEXPIRE', run, 60000)
  redis.call('ZREM', prefix .. ':live', runId)
  if redis.call('HINCRBY', prefix .. ':tenants', tenant, -1) <= 0 then redis.call('HDEL', prefix .. ':tenants', tenant) end
  if tenant ~= '' then redis.call('ZREM', prefix .. ':live-tenant:' .. tenant, runId) end
end

-- A visit of the live run has seen the input that this run would have become.
local function seenInSession(id, runId)
  redis.call('LREM', waitingKey(id), 1, runId)
  redis.call('HDEL', sessionKey(id), 'open:' .. runId)
  dropRun(runId)
end

-- Drops the oldest turns, down to nine tenths of the bytes that a session may have, and never the one that was just written.
local function trimSession(key, most, newest)
  local turns, bytes = {}, 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 5) == 'turn:' then
      turns[#turns + 1] = {all[i], tonumber(string.match(all[i + 1], '^%d+')), #all[i + 1]}
      bytes = bytes + #all[i + 1]
    end
  end
  table.sort(turns, function(a, b) return a[2] < b[2] end)
  for _, turn in ipairs(turns) do
    if bytes <= most * 0.9 or turn[1] == newest then break end
    redis.call('HDEL', key, turn[1])
    bytes = bytes - turn[3]
  end
  redis.call('HSET', key, 'bytes', bytes)
end

-- Adds a turn, or takes the place of the one with its run and number. Nothing where the session was deleted since the run began.
local function writeTurn(id, runId, number, turn, keepMs, most)
  local key = sessionKey(id)
  if redis.call('HEXISTS', key, 'open:' .. runId) == 0 then return end
  local field = 'turn:' .. runId .. ':' .. number
  local old = redis.call('HGET', key, field)
  local place = old and string.match(old, '^%d+') or redis.call('HINCRBY', key, 'places', 1)
  local value = place .. ' ' .. turn
  redis.call('HSET', key, field, value)
  local bytes = redis.call('HINCRBY', key, 'bytes', #value - (old and #old or 0))
  if bytes > tonumber(most) then trimSession(key, tonumber(most), field) end
  redis.call('PEXPIRE', key, keepMs)
  redis.call('PEXPIRE', waitingKey(id), keepMs)
end

-- Takes a run that has ended out of the lists of those that live, and keeps it for so long. Answers the run of its session whose turn it is.
local function retire(runId, run, keepMs, now, most)
  local session = redis.call('HGET', run, 'session')
  local gone = {'state', 'owner', 'crashes'}
  for _, field in ipairs(redis.call('HKEYS', run)) do
    local kind = string.match(field, '^(%a+):')
    if kind == 'text' or kind == 'signal' or kind == 'active' then gone[#gone + 1] = field end
  end
  for i = 1, #gone, 1000 do redis.call('HDEL', run, unpack(gone, i, math.min(i + 999, #gone))) end
  redis.call('DEL', prefix .. ':signals:' .. runId)
  for _, kind in ipairs({':run:', ':events:', ':readers:'}) do redis.call('PEXPIRE', prefix .. kind .. runId, keepMs) end
  redis.call('ZREM', prefix .. ':live', runId)
  local of = placeOf(runId)
  local tenant = of[2] or ''
  if redis.call('HINCRBY', prefix .. ':tenants', tenant, -1) <= 0 then redis.call('HDEL', prefix .. ':tenants', tenant) end
  if tenant ~= '' then redis.call('ZREM', prefix .. ':live-tenant:' .. tenant, runId) end
  local finished = prefix .. ':finished'
  redis.call('ZADD', finished, now, runId)
  enlist(runId, of, now, tonumber(keepMs), tonumber(now) - tonumber(keepMs))
  local over = redis.call('ZCARD', finished) - tonumber(most)
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', finished, 0, math.min(over, 100) - 1)) do
      for _, set in ipairs(endedSets(placeOf(old))) do redis.call('ZREM', set, old) end
      redis.call('DEL', prefix .. ':run:' .. old, prefix .. ':events:' .. old, prefix .. ':readers:' .. old)
      redis.call('ZREM', finished, old)
    end
  end
  if session then return endInSession(session, runId) end
end

-- How many runs wait, where that is as many as may.
local function waitingBeyond(most)
  most = tonumber(most or '')
  if not most then return nil end
  local waiting = redis.call('LLEN', prefix .. ':runs:wait') + redis.call('ZCARD', prefix .. ':runs:prioritized')
  if waiting >= most then return waiting end
end

-- Writes a run that begins, or waits: prefix, runId, spec, now (ms), tenant, pipeline's name, name of the token. Answers how many of the tenant live.
local function createRun(runId, of)
  local run, tenant = prefix .. ':run:' .. runId, of[5]
  redis.call('HSET', run, 'spec', of[3], 'status', 'live', 'epoch', 0, 'seq', 0, 'tenant', tenant, 'submitted', of[4])
  if of[6] then redis.call('HSET', run, 'pipeline', of[6]) end
  if of[7] and of[7] ~= '' then redis.call('HSET', run, 'by', of[7]) end
  redis.call('ZADD', prefix .. ':live', of[4], runId)
  if tenant ~= '' then redis.call('ZADD', prefix .. ':live-tenant:' .. tenant, of[4], runId) end
  return redis.call('HINCRBY', prefix .. ':tenants', tenant, 1)
end

-- Writes a signal for a run's owner: its number, or nil where the run's signals can't be kept.
local function sendSignal(runId, payload, id, owner)
  local run, stream = prefix .. ':run:' .. runId, prefix .. ':signals:' .. runId
  local count = redis.pcall('XLEN', stream)
  if type(count) == 'table' then return nil end
  if redis.call('HSETNX', run, 'signal:' .. id, 1) == 0 then return 0 end
  redis.call('XADD', stream, '*', 'd', payload)
  if owner then post(owner, '["signal","' .. runId .. '",' .. (count + 1) .. ',' .. payload .. ']') end
  return count + 1
end
