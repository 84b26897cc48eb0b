-- prefix, node, worker, ms, a worker that is known to be dead, then fields → `ok`, or `taken`, by whom, its host and its process.

local key = ARGV[1] .. ':node:' .. ARGV[2]
heal(key, 'hash')
local worker = redis.call('HGET', key, 'worker')
if worker and worker ~= ARGV[3] and worker ~= ARGV[5] then
  return {'taken', worker, redis.call('HGET', key, 'host'), redis.call('HGET', key, 'pid')}
end
redis.call('HSET', key, 'worker', ARGV[3], unpack(ARGV, 6))
redis.call('PEXPIRE', key, ARGV[4])
heal(prefix .. ':nodes', 'set')
redis.call('SADD', ARGV[1] .. ':nodes', ARGV[2])
return {'ok'}
