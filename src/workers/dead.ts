import { type CaesuraError, summarize } from '../core/errors.ts'
import type { FleetRedis } from './redis.ts'

/** Entries of the list that are kept. */
const MOST_DEAD = 1000

/** Writes down what could not be read, with the reason: it is never tried again. */
export async function putAside(
  { client, keys, refusals }: FleetRedis,
  what: object,
  error: CaesuraError,
): Promise<void> {
  const entry = JSON.stringify({ ...what, at: new Date().toISOString(), error: summarize(error) })
  await refusals.waitOut(() =>
    client
      .multi()
      .lpush(keys.dead, entry)
      .ltrim(keys.dead, 0, MOST_DEAD - 1)
      .exec(),
  )
}

/** How a run is put aside. */
export interface Burial {
  readonly runId: string
  readonly error: CaesuraError
  /** How long it is known, ms; and how many ended runs are. */
  readonly keepMs: number
  readonly keepMost: number
  /** Of the owner who says so; absent for whoever finds it. */
  readonly epoch?: number
  /** When the run started, ms since 1970; absent where that can't be read. */
  readonly startedAt?: number
}

/**
 * Puts a run aside: it has ended without a record. Its calls are told to stop, its readers have a last event with the reason. False where
 * it had ended, or another owner has it.
 */
export async function putRunAside(redis: FleetRedis, burial: Burial): Promise<boolean> {
  const { runId, error, keepMs, keepMost, epoch = '', startedAt } = burial
  const now = Date.now()
  // What was received may be text of a person.
  const { code, message } = summarize(error)
  const summary = { code, message }
  const entry = JSON.stringify({ runId, at: new Date(now).toISOString(), error: summary })
  const ms = startedAt === undefined ? 0 : Math.max(0, now - startedAt)
  const [answer] = await redis.call(
    'buryRun',
    ...([runId, entry, MOST_DEAD, JSON.stringify(summary), ms, keepMs, now, keepMost, epoch] as const),
  )
  return answer === 'ok'
}
