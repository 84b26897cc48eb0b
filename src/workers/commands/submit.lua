-- prefix, runId, spec, now (ms), tenant, pipeline's name, name of the token that submits it, how many may wait ('' for any number), the session
-- whose turns it has ('' for none) and ms to keep that → `ok` and how many runs of the tenant live, `exists`, `full` and how many wait, or
-- `foreign`, where the session counts for another tenant.

local runId, tenant, session = ARGV[2], ARGV[5], ARGV[9] or ''
local run = prefix .. ':run:' .. runId
if redis.call('EXISTS', run) == 1 then return {'exists'} end
if session ~= '' and isForeign(session, tenant) then return {'foreign'} end
local waiting = waitingBeyond(ARGV[8])
if waiting then return {'full', waiting} end
local live = createRun(runId, ARGV)
if session ~= '' then
  openInSession(session, runId, tenant, ARGV[10])
  -- New inputs are for it, where there is no other live run.
  if not isLive(redis.call('HGET', sessionKey(session), 'live')) and redis.call('LLEN', waitingKey(session)) == 0 then
    redis.call('HSET', sessionKey(session), 'live', runId)
  end
end
return {'ok', live}
