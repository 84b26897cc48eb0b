-- prefix, runId, spec, now (ms), tenant, pipeline's name, name of the token, how many runs may wait ('' for any number), session, ms to keep it,
-- what becomes of an input while a run of the session is live (interrupt, queue, reject), the signal that it is then, an id of that signal → an
-- input of a session, as the run that it is or would become: `run` and how many runs of the tenant live, `signal` or `queue` and the live run's id.
-- Nothing was written with `busy`, `foreign`, `full` and how many wait, `exists`. Asked again it answers the same.

local runId, tenant, session = ARGV[2], ARGV[5], ARGV[9]
local run = prefix .. ':run:' .. runId
local known = redis.call('HMGET', run, 'became', 'with')
if known[1] then return {known[1], known[2]} end
if redis.call('EXISTS', run) == 1 then return {'exists'} end
if isForeign(session, tenant) then return {'foreign'} end
local live = redis.call('HGET', sessionKey(session), 'live')
if not isLive(live) then live = nil end
local last = redis.call('LINDEX', waitingKey(session), -1)
if (live or last) and ARGV[11] == 'reject' then return {'busy'} end
local waiting = waitingBeyond(ARGV[8])
if waiting then return {'full', waiting} end
local count = createRun(runId, ARGV)
openInSession(session, runId, tenant, ARGV[10])
local became, with = 'queue', live or ''
if not live and not last then
  became, with = 'run', count
  redis.call('HSET', sessionKey(session), 'live', runId)
else
  redis.call('RPUSH', waitingKey(session), runId)
  redis.call('PEXPIRE', waitingKey(session), ARGV[10])
  redis.call('HSET', run, 'waits', 1)
  -- One that would overtake those that wait for the end of the live run waits behind them.
  local isNext = not last or redis.call('HGET', prefix .. ':run:' .. last, 'sent') == live
  if live and ARGV[11] == 'interrupt' and isNext and sendSignal(live, ARGV[12], ARGV[13], ownerOf(live)) then
    became = 'signal'
    redis.call('HSET', run, 'sent', live)
  end
end
redis.call('HSET', run, 'became', became, 'with', with)
deliver()
return {became, with}
