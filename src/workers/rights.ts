import type { Redis } from 'ioredis'

/** What is done to a key of the fleet, here, in its scripts and by BullMQ. */
const onKeys = [
  ...['del', 'exists', 'get', 'incr', 'pexpire', 'pttl', 'set', 'type', 'unlink'],
  ...['hdel', 'hexists', 'hget', 'hgetall', 'hincrby', 'hkeys', 'hmget', 'hmset', 'hset', 'hsetnx', 'hstrlen'],
  ...['lindex', 'llen', 'lpush', 'lrange', 'lrem', 'ltrim', 'rpop', 'rpoplpush', 'rpush'],
  ...['sadd', 'scard', 'sismember', 'smembers', 'srem'],
  ...['xadd', 'xlen', 'xrange', 'xread', 'xrevrange', 'xtrim'],
  ...[
    'bzpopmin',
    'zadd',
    'zcard',
    'zcount',
    'zmscore',
    'zpopmin',
    'zrange',
    'zrangebyscore',
    'zrem',
    'zremrangebyrank',
  ],
  ...['zremrangebyscore', 'zrevrange', 'zrevrangebyscore', 'zrevrank', 'zscore'],
]
const onChannels = ['publish', 'subscribe', 'unsubscribe']
const others = ['client|setname', 'eval', 'evalsha', 'exec', 'info', 'multi', 'ping', 'select', 'time']

/** The rights that a fleet needs of its Redis user, as `ACL SETUSER` takes them. */
export const rightsNeeded = (prefix: string): string =>
  [
    ...['resetkeys', `~${prefix}:*`, 'resetchannels', `&${prefix}:*`, '-@all'],
    ...[...onKeys, ...onChannels, ...others].map((command) => `+${command}`),
  ].join(' ')

/** Each command as it would be sent. */
const probes = (prefix: string): string[][] => {
  const key = `${prefix}:rights`
  const special: Record<string, string[]> = {
    xread: ['count', '1', 'streams', key, '0'],
    eval: ['return 1', '0'],
    evalsha: ['0', '0'],
    info: ['memory'],
    select: ['1'],
  }
  return [
    ...onKeys.map((command) => [command, ...(special[command] ?? [key, key, key, key])]),
    ...onChannels.map((command) => [command, key, ...(command === 'publish' ? ['m'] : [])]),
    ...others.map((command) => [...command.split('|'), ...(special[command] ?? [])]),
  ]
}

/** Redis 7 says what its user may do; before, what is missing is told by the command that needs it. */
const script = `if not redis.acl_check_cmd then return {} end
local missing, i = {}, 1
while i <= #ARGV do
  local count = tonumber(ARGV[i])
  if not redis.acl_check_cmd(unpack(ARGV, i + 1, i + count)) then missing[#missing + 1] = ARGV[i + 1] end
  i = i + count + 1
end
return missing`

/** The commands that the user of this connection may not send to the keys and channels of a fleet. */
export async function missingRights(client: Redis, prefix: string): Promise<string[]> {
  const asked = probes(prefix).flatMap((command) => [String(command.length), ...command])
  try {
    return (await client.eval(script, 0, ...asked)) as string[]
  } catch (error) {
    if (isMissingRight(error)) return ['eval']
    throw error
  }
}

export const isMissingRight = (error: unknown): boolean => error instanceof Error && /\bNOPERM\b/.test(error.message)

/** Whether Redis knows who asks; undefined where it says nothing of it. */
export function refusedUser(error: Error): string | undefined {
  if (/\bWRONGPASS\b|invalid password/.test(error.message)) return 'Redis refuses the user or the password'
  return /\bNOAUTH\b/.test(error.message) ? 'Redis asks for a password, and there is none' : undefined
}
