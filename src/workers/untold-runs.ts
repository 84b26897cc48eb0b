import type { Telemetry } from '../core/ports.ts'
import { recordSchema } from '../core/record.ts'
import type { FleetRedis } from './redis.ts'
import { parseJson } from './wire.ts'

/** After so long the process that was to send the spans of a run is taken to be gone, ms. */
const LATE_MS = 30_000
const PAGE = 200

/**
 * Runs whose spans were to be sent by the worker that ended them and have not arrived: it was killed before, or the collector is away.
 * Another worker sends them: the same spans, so that it does no harm where both do.
 */
export class UntoldRuns {
  readonly #redis: FleetRedis
  readonly #wall: () => number
  readonly #telemetry: Telemetry | undefined

  constructor(redis: FleetRedis, wall: () => number, telemetry: Telemetry | undefined) {
    this.#redis = redis
    this.#wall = wall
    this.#telemetry = telemetry
  }

  /** The spans of a run have arrived. */
  told(runId: string): void {
    const { client, keys } = this.#redis
    void client.zrem(keys.untold, runId).catch(() => undefined)
  }

  /** Sends those that are late, a page at most. */
  async tellLate(lateMs = LATE_MS): Promise<void> {
    const { client, keys } = this.#redis
    const now = this.#wall()
    const late = await client.zrangebyscore(keys.untold, '-inf', now - lateMs, 'LIMIT', 0, PAGE)
    for (const runId of late) {
      const record = recordSchema.safeParse(parseJson(await client.hget(keys.run(runId), 'record')))
      // What is not kept any more, or was written by another version, nobody can tell of.
      if (!record.success) await client.zrem(keys.untold, runId)
      else {
        await client.zadd(keys.untold, 'XX', now, runId)
        this.#telemetry?.sendAgain(record.data, () => this.told(runId))
      }
    }
  }
}
