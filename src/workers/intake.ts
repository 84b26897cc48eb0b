import type { FleetRedis } from './redis.ts'
import { RedisMemory } from './redis-memory.ts'

/** Above this share of Redis's memory a worker that hosts runs takes up no more: what is left is for those to end with. */
const MOST_SHARE = 0.9
/** What a run writes while it goes on, in lengths of its spec, and beside them, bytes. */
const COPIES = 6
const RUN_BYTES = 10_000
/** Between two looks at a Redis that is full, ms. */
const LOOK_MS = 100

/**
 * Keeps a worker from taking up more runs than Redis has memory for. Without it, all of them would wait for memory that none gives back
 * before it ends.
 */
export class Intake {
  readonly #redis: FleetRedis
  readonly #memory: RedisMemory
  /** Of the runs that were let in and go on, bytes. What they wrote by now counts twice: better than not at all. */
  readonly #reserved = new Map<string, number>()
  readonly #closing = new AbortController()
  /** Who comes waits for those before it. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(redis: FleetRedis) {
    this.#redis = redis
    this.#memory = new RedisMemory(redis)
  }

  /** Resolves when there is room for this run, or no other one goes on here, or the signal is aborted, or this is closed. */
  async room(runId: string, signal: AbortSignal | undefined): Promise<void> {
    if (!(await this.#memory.hasLimit().catch(() => false))) return
    const turn = this.#turn.then(() => this.#wait(runId, signal))
    this.#turn = turn.catch(() => undefined)
    await turn
  }

  /** The run goes on here no more. */
  left(runId: string): void {
    this.#reserved.delete(runId)
  }

  close(): void {
    this.#closing.abort()
  }

  async #wait(runId: string, signal: AbortSignal | undefined): Promise<void> {
    const { client, keys, refusals } = this.#redis
    // Whoever claims it says what is wrong with it.
    const length = await client.hstrlen(keys.run(runId), 'spec').catch(() => 0)
    const bytes = RUN_BYTES + COPIES * length
    while (this.#reserved.size > 0 && !signal?.aborted && !this.#closing.signal.aborted) {
      let all = bytes
      for (const other of this.#reserved.values()) all += other
      if (!refusals.isRefusing && (await this.#memory.above(all, MOST_SHARE).catch(() => undefined)) === undefined)
        break
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    this.#reserved.set(runId, bytes)
  }
}
