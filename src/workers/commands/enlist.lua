-- prefix, runId, ms that ended runs are kept, what a list tells of it, outcome, pipeline → `ok`: a run that was ended by a process that knows
-- nothing of lists is in them now; `gone` where it is not kept any more.

local runId, run = ARGV[2], prefix .. ':run:' .. ARGV[2]
local at = redis.call('ZSCORE', prefix .. ':finished', runId)
if not at then return {'gone'} end
if redis.call('EXISTS', run) == 0 then
  redis.call('ZREM', prefix .. ':finished', runId)
  return {'gone'}
end
redis.call('HSET', run, 'outcome', ARGV[5], 'pipeline', ARGV[6])
if ARGV[4] ~= '' then redis.call('HSET', run, 'line', ARGV[4]) end
enlist(runId, placeOf(runId), at, tonumber(ARGV[3]), 0)
return {'ok'}
