import type { Redis } from 'ioredis'
import { CaesuraError } from '../core/errors.ts'
import { type Figures, noFigures } from '../core/figures.ts'
import type { FleetAddress } from '../core/fleet.ts'
import type { Log } from '../core/log.ts'
import { type AnswerOf, type CommandName, commands, luaOf, type Parameter, type ParametersOf } from './commands.ts'
import { connect } from './connection.ts'
import { DEFAULT_PREFIX, type FleetKeys, fleetKeys } from './keys.ts'
import { checkRedis } from './redis-check.ts'
import { Refusals } from './refusals.ts'

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

/**
 * Tells once when Redis is gone, and once when it is back, however many attempts lie between; and once each when it begins to refuse
 * writes, and when it takes them again. Counts what it refuses.
 */
export function tellOutages({ client, refusals }: FleetRedis, log: Log, figures: Figures = noFigures): void {
  refusals.listen({
    refused: (refusal) => figures.count('caesura.redis.refusals', { refusal }),
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
    // While it refuses writes the way to the master is looked for again and again: that is told already.
    if (goneAt !== undefined || refusals.isRefusing) return
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
