import { Redis } from 'ioredis'
import { withoutPassword } from '../core/address.ts'
import { CaesuraError } from '../core/errors.ts'
import type { FleetAddress } from '../core/fleet.ts'
import type { Log } from '../core/log.ts'
import { type AnswerOf, type CommandName, commands, luaOf, type Parameter, type ParametersOf } from './commands.ts'
import { DEFAULT_PREFIX, type FleetKeys, fleetKeys } from './keys.ts'
import { Refusals } from './refusals.ts'
import { isMissingRight, missingRights, refusedUser, rightsNeeded } from './rights.ts'

/** A connection with the fleet's scripts, and its keys. */
export interface FleetRedis {
  readonly address: FleetAddress
  readonly keys: FleetKeys
  readonly client: Redis
  /** What Redis refuses for now is waited out here. */
  readonly refusals: Refusals
  /**
   * Runs a command on Redis, whole or not at all. Waits for Redis to be back, and to take writes, however long that takes. Rejects for
   * what Redis will never take, and after `close`.
   */
  call<N extends CommandName>(name: N, ...parameters: ParametersOf<N>): Promise<AnswerOf<N>>
  close(): void
}

/** Reconnects at least every 200 ms; longer pauses made BullMQ's workers slow to come back (facts: 3.2 s against 0.2 s). */
const RETRY_MS = 200

/**
 * A connection that has had no answer for so long is taken for dead and replaced, ms: a link that swallows bytes says nothing. Longer than
 * any blocking read (`BLOCK_MS` of the inbox, BullMQ's `drainDelay`).
 */
const SILENCE_MS = 6000
/** When the system asks a silent link for a sign of life, ms. */
const KEEP_ALIVE_MS = 5000

/** Another connection. `maxRetriesPerRequest` null: BullMQ runs a finished job twice where a command gives up. */
export function connect({ url }: FleetAddress): Redis {
  const client = new Redis(url, {
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(RETRY_MS, times * 20),
    connectTimeout: 2000,
    socketTimeout: SILENCE_MS,
    keepAlive: KEEP_ALIVE_MS,
    lazyConnect: true,
  })
  // Without a listener ioredis writes each attempt to reconnect to the console.
  client.on('error', () => undefined)
  return client
}

/** Connects to a fleet's Redis. Throws `CAESURA_E_REDIS` when it does not answer or can't be used. */
export async function openFleetRedis(address: FleetAddress): Promise<FleetRedis> {
  const client = connect(address)
  await checkRedis(client, address)
  const names = Object.keys(commands) as CommandName[]
  for (const name of names) client.defineCommand(name, { numberOfKeys: 0, lua: luaOf(name) })
  const keys = fleetKeys(address.prefix ?? DEFAULT_PREFIX)
  const defined = client as unknown as Record<CommandName, (...args: Parameter[]) => Promise<never>>
  const refusals = new Refusals()
  return {
    address,
    keys,
    client,
    refusals,
    call: (name, ...parameters) => refusals.waitOut(() => defined[name](keys.prefix, ...parameters)).catch(otherType),
    close: () => {
      refusals.close()
      client.disconnect()
    },
  }
}

/** A key of another type than the fleet's is a fault of what is kept, and not of this process. */
function otherType(error: unknown): never {
  if (!(error instanceof Error) || !/WRONGTYPE/.test(error.message)) throw error
  throw new CaesuraError('CAESURA_E_STATE', 'a key of the fleet in Redis is of another type', { cause: error })
}

/** How long a Redis may take to answer at the start, ms. */
const ANSWER_MS = 3000

/** Throws `CAESURA_E_REDIS` with what to do: not there, older than 6.2, or free to evict keys. */
async function checkRedis(client: Redis, { url, prefix = DEFAULT_PREFIX }: FleetAddress): Promise<void> {
  const refuse = (message: string, hint: string): CaesuraError => {
    client.disconnect()
    return new CaesuraError('CAESURA_E_REDIS', `${message}: ${withoutPassword(url)}`, { hint })
  }
  let fault: Error | undefined
  client.on('error', (error: Error) => {
    fault = error
  })
  const answer = await Promise.race([
    client
      .connect()
      .then(() => client.info())
      .catch((error: Error) => fault ?? error),
    new Promise<Error>((resolve) => setTimeout(() => resolve(fault ?? new Error('no answer')), ANSWER_MS).unref()),
  ])
  const lacks = (missing: readonly string[]) => {
    const user = URL.parse(url)?.username || 'default'
    const message = `the Redis user ${user} lacks rights that a fleet needs (${missing.join(', ')})`
    return refuse(message, `redis-cli ACL SETUSER ${user} ${rightsNeeded(prefix)}`)
  }
  if (answer instanceof Error) {
    if (isMissingRight(answer)) throw lacks(['info'])
    const user = refusedUser(answer)
    if (user !== undefined) throw refuse(user, 'Give it as redis://USER:PASSWORD@host in --redis-file or REDIS_URL.')
    throw refuse(`Redis can't be used (${answer.message})`, 'Start one: redis-server')
  }
  const [, version = '0'] = /redis_version:(\S+)/.exec(answer) ?? []
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2)) throw refuse(`Redis ${version} is too old`, 'Use 6.2 or newer.')
  const [, policy] = /maxmemory_policy:(\S+)/.exec(answer) ?? []
  if (policy !== undefined && policy !== 'noeviction') {
    throw refuse(`Redis may drop keys (maxmemory-policy ${policy})`, 'redis-cli config set maxmemory-policy noeviction')
  }
  if (/redis_mode:cluster/.test(answer) && !/\{.+\}/.test(prefix)) {
    throw refuse(`a Redis Cluster needs a hash tag in the prefix (${prefix})`, 'Use a prefix such as {caesura}.')
  }
  const missing = await missingRights(client, prefix)
  if (missing.length > 0) throw lacks(missing)
}

/**
 * Tells once when Redis is gone, and once when it is back, however many attempts lie between; and once each when it begins to refuse
 * writes, and when it takes them again.
 */
export function tellOutages({ client, refusals }: FleetRedis, log: Log): void {
  refusals.listen({
    began: (name) => log.warn(`Redis refuses writes (${name}): waiting for it`, { refusal: name }),
    ended: (ms) => log.info(`Redis takes writes again after ${ms} ms`, { duration_ms: ms }),
  })
  let goneAt: number | undefined
  let reason: string | undefined
  client.on('error', (error: Error) => {
    reason = error.message
  })
  // Not heard where the connection is closed by us.
  client.on('reconnecting', () => {
    if (goneAt !== undefined) return
    goneAt = performance.now()
    log.warn(`Redis is gone${reason === undefined ? '' : ` (${reason})`}: waiting for it`)
  })
  client.on('ready', () => {
    if (goneAt === undefined) return
    const ms = Math.round(performance.now() - goneAt)
    log.info(`Redis is back after ${ms} ms`, { duration_ms: ms })
    goneAt = undefined
    reason = undefined
  })
}
