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

-- One entry an inbox, whatever was posted to it.
local function deliver()
  for _, inbox in ipairs(inboxes) do
    local letters = mail[inbox]
    local payload = letters[1]
    if #letters > 1 then payload = '["many",' .. table.concat(letters, ',') .. ']' end
    redis.call('XADD', prefix .. ':inbox:' .. inbox, 'MAXLEN', '~', 50000, '*', 'd', payload)
  end
end

local function postNews(runId, callId, index, batch)
  local owner = owners[runId]
  if owner == nil then
    owner = redis.call('HGET', prefix .. ':run:' .. runId, 'owner')
    owners[runId] = owner
  end
  if owner then post(owner, '["news","' .. runId .. '","' .. callId .. '",' .. index .. ',' .. batch .. ']') end
end

local function endCall(runId, callId, batch, index)
  local stream = prefix .. ':news:' .. runId .. ':' .. callId
  index = index or redis.call('XLEN', stream)
  redis.call('XADD', stream, '*', 'd', batch)
  redis.call('HSET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'ended')
  redis.call('HDEL', prefix .. ':run:' .. runId, 'active:' .. callId)
  postNews(runId, callId, index, batch)
end

-- The sets in which a run that has ended is found beside `finished`, with the same score: by outcome, by tenant and by pipeline.
local function endedSets(runId)
  local of = redis.call('HMGET', prefix .. ':run:' .. runId, 'outcome', 'tenant', 'pipeline')
  local sets = {prefix .. ':ended-outcome:' .. (of[1] or 'unknown')}
  if of[2] and of[2] ~= '' then sets[#sets + 1] = prefix .. ':ended-tenant:' .. of[2] end
  if of[3] and of[3] ~= '' then sets[#sets + 1] = prefix .. ':ended-pipeline:' .. of[3] end
  return sets
end

-- Those by outcome have the very runs of `finished`, whose number tells whether all are in them. The others end by themselves. What ended
-- before `from` is not kept any more.
local function enlist(runId, at, keepMs, from)
  local finished, before = prefix .. ':finished', '(' .. string.format('%.17g', from)
  local oldest = redis.call('ZRANGE', finished, 0, 0, 'WITHSCORES')[2]
  if oldest and tonumber(oldest) < from then
    redis.call('ZREMRANGEBYSCORE', finished, '-inf', before)
    for _, each in ipairs({'completed', 'cancelled', 'failed', 'unknown'}) do
      redis.call('ZREMRANGEBYSCORE', prefix .. ':ended-outcome:' .. each, '-inf', before)
    end
  end
  for i, set in ipairs(endedSets(runId)) do
    redis.call('ZADD', set, at, runId)
    if i > 1 then
      redis.call('ZREMRANGEBYSCORE', set, '-inf', before)
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
  local of = redis.call('HMGET', call, 'status', 'worker', 'node')
  if not of[1] or of[1] == 'ended' or redis.call('HSETNX', call, 'cancel', reason) == 0 then return end
  if of[1] == 'active' and isThere(of[3], of[2]) then
    redis.call('PUBLISH', prefix .. ':orders:' .. of[2], 'cancel ' .. runId .. ' ' .. callId)
  else endCall(runId, callId, cancelledEnd) end
end
