-- For each: runId, callId, claim, batch, '1' where it holds the end, its index → `ok`, or `refused` to a worker that has lost the call. Where it
-- is the news or the call that are lost, the call ends here, or its run's owner is told to look.

local brokenEnd = '[["end",{"end":"failed","retryable":true,"error":{"code":"CAESURA_E_WORKER_LOST","message":"Redis has lost news of the call"}}]]'

local function one(first)
  local runId, callId, claim, batch, ends, number = unpack(ARGV, first, first + 5)
  local of = redis.pcall('HMGET', prefix .. ':call:' .. runId .. ':' .. callId, 'status', 'claim')
  if of.err or not of[1] then
    local owner = ownerOf(runId)
    if owner then post(owner, '["gone","' .. runId .. '","' .. callId .. '"]') end
    return {'refused'}
  end
  if of[2] ~= claim then return {'refused'} end
  local stream = prefix .. ':news:' .. runId .. ':' .. callId
  local index = redis.pcall('XLEN', stream)
  if type(index) == 'table' then index = -1 end
  -- Sent again because its answer was lost.
  if index > tonumber(number) then return {'ok'} end
  if of[1] ~= 'active' then return {'refused'} end
  if index < tonumber(number) then
    endCall(runId, callId, brokenEnd)
    return {'refused'}
  end
  if ends == '1' then endCall(runId, callId, batch, index)
  else
    redis.call('XADD', stream, '*', 'd', batch)
    postNews(runId, callId, index, batch)
  end
  return {'ok'}
end
