-- For each: runId, callId, claim, batch, '1' where it holds the end, its index → `ok`, or `refused` to a worker that has lost the call.

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
