import { createHash } from 'node:crypto'
import { z } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import type { DeadEntry, DeadRun, Fleet } from '../core/fleet.ts'
import { present } from '../core/present.ts'
import type { FleetRedis } from './redis.ts'
import { lookAt } from './run-list.ts'
import { readSpec } from './run-spec.ts'
import { parseJson } from './wire.ts'

const entrySchema = z.object({
  runId: z.string().optional(),
  job: z.unknown().optional(),
  at: z.string(),
  error: z.object({ code: z.string(), message: z.string() }),
})

/** The list of what a fleet put aside. */
export class DeadRuns {
  readonly #redis: FleetRedis

  constructor(redis: FleetRedis) {
    this.#redis = redis
  }

  /** Newest first. What is no entry is left out. */
  async list(): Promise<DeadEntry[]> {
    return (await this.#entries()).map(({ entry }) => entry)
  }

  /** Throws `CAESURA_E_RUN_UNKNOWN` where it is not on the list. */
  async show(runId: string): Promise<DeadRun> {
    const entry = await this.#find(runId)
    const line = await lookAt(this.#redis, runId)
    if (line === undefined) return { ...entry, runId }
    const { pipeline, tenant, submittedAt, seq } = line
    return { runId, pipeline, ...(tenant !== '' && { tenant }), submittedAt, events: seq, ...entry }
  }

  /**
   * Starts the run once more, from its beginning, under a new id, and takes it off the list. Throws `CAESURA_E_RUN_UNKNOWN` where it is not
   * on the list, and `CAESURA_E_STATE` where what it was to run can't be read any more. The new id follows from the entry: who asks
   * twice, because the answer was lost or at the same time, gets the same run.
   */
  async retry(runId: string, fleet: Pick<Fleet, 'submit'>): Promise<{ runId: string; traceId: string }> {
    const { client, keys } = this.#redis
    const { at } = await this.#find(runId)
    const spec = readSpec(runId, (await client.hget(keys.run(runId), 'spec')) ?? undefined)
    const { pipeline, input, vars, models, signals, tenant, priority, submittedBy, experiment } = spec
    const made = await fleet.submit(pipeline, {
      ...{ runId: idOfRetry(runId, at), input, vars, models, signals, tenant, priority },
      ...present({ submittedBy }),
      // Its session keeps its arm.
      ...(experiment !== undefined && { experiment }),
    })
    await this.drop(runId)
    return { runId: made.runId, traceId: made.traceId }
  }

  /** Takes a run off the list. False where it was not on it. */
  async drop(runId: string): Promise<boolean> {
    const { client, keys, refusals } = this.#redis
    let dropped = 0
    for (const { text, entry } of await this.#entries()) {
      if (entry.runId === runId) dropped += await refusals.waitOut(() => client.lrem(keys.dead, 0, text))
    }
    return dropped > 0
  }

  /** The newest entry of a run. */
  async #find(runId: string): Promise<DeadEntry> {
    const found = (await this.#entries()).find(({ entry }) => entry.runId === runId)
    if (found === undefined) throw notDead(runId)
    return found.entry
  }

  async #entries(): Promise<{ text: string; entry: DeadEntry }[]> {
    const { client, keys } = this.#redis
    const texts = await client.lrange(keys.dead, 0, -1)
    return texts.flatMap((text) => {
      const read = entrySchema.safeParse(parseJson(text))
      return read.success ? [{ text, entry: read.data as DeadEntry }] : []
    })
  }
}

const idOfRetry = (runId: string, at: string): string =>
  createHash('sha256').update(`${runId} ${at}`).digest('hex').slice(0, 32)

const notDead = (runId: string): CaesuraError =>
  new CaesuraError('CAESURA_E_RUN_UNKNOWN', `no run of this id was put aside: ${runId}`, {
    received: runId,
    hint: 'See `caesura dead`.',
  })
