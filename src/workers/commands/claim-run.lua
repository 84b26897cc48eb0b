-- prefix, runId, epoch, owner's inbox, takeovers without progress after which a run is a suspect, those after which it is deadly, '1' where it
-- is taken up alone → `ok`, the run's fields and how many signals it has; `older` and the epoch, `ended` or `unknown`. Where it is not
-- claimed: `suspect`, `deadly` and its takeovers; `broken` and what can't be read.

local run = prefix .. ':run:' .. ARGV[2]
local of = redis.pcall('HMGET', run, 'status', 'epoch', 'owner', 'crashes')
if of.err then return {'broken', 'its key'} end
if not of[1] then return {'unknown'} end
if of[1] == 'ended' then return {'ended'} end
local epoch, asked = tonumber(of[2]), tonumber(ARGV[3])
if not epoch then return {'broken', 'its epoch'} end
-- The same claim again is a command that was sent again because its answer was lost.
local isAgain = epoch == asked and of[3] == ARGV[4]
if epoch > asked or (epoch == asked and not isAgain) then return {'older', of[2]} end
local signals = redis.pcall('XLEN', prefix .. ':signals:' .. ARGV[2])
if type(signals) == 'table' then return {'broken', 'its signals'} end
-- An owner that left it in good order has taken its name away: this one has not.
local crashes = tonumber(of[4] or '') or 0
if of[3] and not isAgain then
  crashes = crashes + 1
  if crashes > tonumber(ARGV[6]) then return {'deadly', crashes} end
  if crashes > tonumber(ARGV[5]) and ARGV[7] ~= '1' then return {'suspect', crashes} end
end
redis.call('HSET', run, 'epoch', ARGV[3], 'owner', ARGV[4], 'crashes', crashes)
return {'ok', redis.call('HGETALL', run), signals}
