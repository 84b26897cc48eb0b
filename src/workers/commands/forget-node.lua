-- prefix, node, worker: forgets the node, where it is still this worker's.

local key = ARGV[1] .. ':node:' .. ARGV[2]
if redis.call('HGET', key, 'worker') ~= ARGV[3] then return {'taken'} end
redis.call('DEL', key)
redis.call('SREM', ARGV[1] .. ':nodes', ARGV[2])
return {'ok'}
