import type { FleetRedis } from './redis.ts'
import { lineText, readBare } from './run-list.ts'

/** How often it looks whether there are any, ms. */
const LOOK_MS = 15_000
const PAGE = 200
/** Between two pages, so that others have their turn, ms. */
const PAUSE_MS = 10

/**
 * Brings the runs that were ended by an older version into the sets that lists are read from, page by page. Until then lists look for
 * them among all runs. Several workers may do it at once.
 */
export class OldRuns {
  readonly #redis: FleetRedis
  readonly #keepMs: number
  readonly #timer: NodeJS.Timeout
  #enlisting: Promise<number> | undefined
  #isClosed = false

  /** `keepMs`: how long ended runs are kept. */
  constructor(redis: FleetRedis, keepMs: number) {
    this.#redis = redis
    this.#keepMs = keepMs
    const look = () => void this.enlist().catch(() => undefined)
    this.#timer = setInterval(look, LOOK_MS)
    look()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
  }

  /** Resolves to how many were brought in. */
  enlist(): Promise<number> {
    this.#enlisting ??= this.#enlistAll().finally(() => {
      this.#enlisting = undefined
    })
    return this.#enlisting
  }

  async #enlistAll(): Promise<number> {
    const { client, keys } = this.#redis
    const sets = ['completed', 'cancelled', 'failed', 'unknown'].map((outcome) => keys.endedOf('outcome', outcome))
    const counts = await client.pipeline([keys.finished, ...sets].map((set) => ['zcard', set])).exec()
    const [all = 0, ...known] = (counts ?? []).map(([, count]) => Number(count))
    if (known.reduce((sum, count) => sum + count, 0) >= all) return 0
    let enlisted = 0
    for (let at = 0; !this.#isClosed; at += PAGE) {
      const runIds = await client.zrevrange(keys.finished, at, at + PAGE - 1)
      enlisted += await this.#enlistPage(runIds)
      if (runIds.length < PAGE) break
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
    return enlisted
  }

  async #enlistPage(runIds: readonly string[]): Promise<number> {
    const { client, keys, call } = this.#redis
    const found = await client.pipeline(runIds.map((runId) => ['hget', keys.run(runId), 'outcome'])).exec()
    const old = runIds.filter((_, index) => found?.[index]?.[1] === null)
    const fields = ['spec', 'record', 'submitted', 'tenant', 'by', 'seq']
    const kept = await client.pipeline(old.map((runId) => ['hmget', keys.run(runId), ...fields])).exec()
    await Promise.all(
      old.map((runId, index) => {
        const [spec = null, text = null, at, tenant, by, seq] = (kept?.[index]?.[1] ?? []) as (string | null)[]
        const { pipeline, record } = readBare(spec, text)
        const submitted = {
          pipeline,
          submittedAt: Number(at),
          tenant: tenant ?? '',
          ...(by != null && { submittedBy: by }),
        }
        const line = record === undefined ? '' : lineText(submitted, Number(seq), record)
        return call('enlist', runId, this.#keepMs, line, record?.outcome ?? 'unknown', pipeline)
      }),
    )
    return old.length
  }
}
