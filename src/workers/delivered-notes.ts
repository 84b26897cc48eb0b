import type { FleetRedis } from './redis.ts'

/** How long the news that events were delivered wait for others, ms. */
const DELIVERED_MS = 20

/** Tells the owners of runs what their readers here were handed: what `carry: delivered` goes by. */
export class DeliveredNotes {
  readonly #redis: FleetRedis
  /** The inboxes of the owners of the runs that are read here, as their last events named them. */
  readonly #owners = new Map<string, string>()
  #delivered: Record<string, number> = {}
  #timer: NodeJS.Timeout | undefined

  constructor(redis: FleetRedis) {
    this.#redis = redis
  }

  /** Who owns a run now. */
  owner(runId: string, inbox: string): void {
    this.#owners.set(runId, inbox)
  }

  /** Nobody reads the run here any more. */
  forget(runId: string): void {
    this.#owners.delete(runId)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  /** The reader has this event. Its owner is not told of each. */
  note(runId: string, seq: number): void {
    this.#delivered[runId] = seq
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const delivered = this.#delivered
      this.#delivered = {}
      void this.#tell(delivered).catch(() => undefined)
    }, DELIVERED_MS)
  }

  async #tell(delivered: Record<string, number>): Promise<void> {
    const { client, keys } = this.#redis
    const unknown = Object.keys(delivered).filter((run) => !this.#owners.has(run))
    const found = await client.pipeline(unknown.map((run) => ['hget', keys.run(run), 'owner'])).exec()
    const looked = new Map(unknown.map((run, index) => [run, found?.[index]?.[1]]))
    const byOwner = new Map<string, Record<string, number>>()
    for (const [run, seq] of Object.entries(delivered)) {
      const owner = this.#owners.get(run) ?? looked.get(run)
      if (typeof owner !== 'string') continue
      const entry = byOwner.get(owner) ?? {}
      entry[run] = seq
      byOwner.set(owner, entry)
    }
    for (const [owner, seqs] of byOwner) {
      await client.xadd(
        keys.inbox(owner),
        'NOMKSTREAM',
        'MAXLEN',
        '~',
        '50000',
        '*',
        'd',
        JSON.stringify(['delivered', seqs]),
      )
    }
  }
}
