-- prefix, runId, epoch, owner's inbox, '1' where it left the run, '0' where it goes on with it → `ok`. An owner says that it lives: it did not
-- die of the run. Where another one has taken it over meanwhile, that takeover counts no more.

local run = prefix .. ':run:' .. ARGV[2]
local of = redis.call('HMGET', run, 'status', 'epoch', 'owner', 'crashes')
if of[1] ~= 'live' then return {'ok'} end
local crashes = tonumber(of[4] or '') or 0
if of[2] == ARGV[3] and of[3] == ARGV[4] then
  if ARGV[5] == '1' then redis.call('HDEL', run, 'owner') end
  if crashes > 0 then redis.call('HSET', run, 'crashes', 0) end
elseif crashes > 0 then redis.call('HSET', run, 'crashes', crashes - 1) end
return {'ok'}
