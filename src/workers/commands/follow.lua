-- prefix, runId, inbox → `ok`, the run's status and last seq; `unknown`. From now on events come into the inbox.

local run = ARGV[1] .. ':run:' .. ARGV[2]
local of = redis.call('HMGET', run, 'status', 'seq')
if not of[1] then return {'unknown'} end
heal(prefix .. ':readers:' .. ARGV[2], 'set')
redis.call('SADD', ARGV[1] .. ':readers:' .. ARGV[2], ARGV[3])
local left = redis.call('PTTL', run)
if left > 0 then redis.call('PEXPIRE', ARGV[1] .. ':readers:' .. ARGV[2], left) end
return {'ok', of[1], of[2]}
