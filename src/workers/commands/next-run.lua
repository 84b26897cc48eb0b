-- prefix, runId, ms to keep its session → `ok` and the run of its session whose turn it is, where that has no live one; else an empty text.

local session = redis.call('HGET', prefix .. ':run:' .. ARGV[2], 'session')
local following = session and nextInSession(session)
-- Redis may have lost its session: then nothing is before it.
if session and not following and redis.call('EXISTS', sessionKey(session)) == 0 then
  openInSession(session, ARGV[2], redis.call('HGET', prefix .. ':run:' .. ARGV[2], 'tenant') or '', ARGV[3])
  redis.call('HSET', sessionKey(session), 'live', ARGV[2])
  redis.call('HDEL', prefix .. ':run:' .. ARGV[2], 'waits')
  following = ARGV[2]
end
return {'ok', following or ''}
