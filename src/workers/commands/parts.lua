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

-- Takes a run that has ended out of the lists of those that live, and keeps it for so long.
local function retire(runId, run, keepMs, now, most)
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
end
