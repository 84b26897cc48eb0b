import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import type { FleetRedis } from './redis.ts'
import { asEvent, parseJson, unreadable } from './wire.ts'

/** Events that may wait for a slow reader; then it is cut off, and may resume after the last one it saw. */
export const MOST_WAITING = 20_000
const PAGE = 1000

/** Reads one run's events in order and each once: from where they are kept, and as they come into the inbox. */
export class RunReader {
  readonly #redis: FleetRedis
  readonly #runId: string
  /** The last event that was taken in. */
  #seq: number
  readonly #waiting: RunEvent[] = []
  #wake: (() => void) | undefined
  #isOver = false
  #error: CaesuraError | undefined
  #catchingUp = false

  constructor(redis: FleetRedis, runId: string, after: number) {
    this.#redis = redis
    this.#runId = runId
    this.#seq = after
  }

  /** Takes events from the inbox. What is missing before them is read from where it is kept. */
  take(events: readonly RunEvent[]): void {
    const first = events[0]?.seq ?? 0
    if (first > this.#seq + 1) this.catchUp()
    else this.#add(events)
  }

  catchUp(): void {
    if (this.#catchingUp || this.#isOver) return
    this.#catchingUp = true
    void this.#readKept()
      .catch(() => undefined)
      .finally(() => {
        this.#catchingUp = false
      })
  }

  stop(): void {
    this.#isOver = true
    this.#wake?.()
  }

  /** Throws `CAESURA_E_READER_SLOW` when more than 20,000 events wait, `CAESURA_E_RUN_UNKNOWN` when Redis has lost the run. */
  async *events(): AsyncGenerator<RunEvent, void, undefined> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event !== undefined) {
        yield event
        if (event.type === 'run-end') return
        continue
      }
      if (this.#error !== undefined) throw this.#error
      if (this.#isOver) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async #readKept(): Promise<void> {
    const { client, keys } = this.#redis
    for (;;) {
      const entries = await client.xrange(keys.events(this.#runId), `(${this.#seq}-0`, '+', 'COUNT', PAGE)
      const events = entries.map(([, [, text]]) => asEvent(parseJson(text)))
      if (events.includes(undefined)) {
        this.#error = unreadable(`the events of the run ${this.#runId}`)
        return this.stop()
      }
      this.#add(events as RunEvent[])
      if (entries.length < PAGE) break
      // The reader's turn: what is kept may be more than it may have waiting.
      while (this.#waiting.length >= PAGE && !this.#isOver) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    // A run that was put aside has no last event, and one that has ended tells no more.
    const [status, seq, dead] = await client.hmget(keys.run(this.#runId), 'status', 'seq', 'dead')
    if (status === null) {
      this.#error = new CaesuraError('CAESURA_E_RUN_UNKNOWN', `Redis does not know this run any more: ${this.#runId}`)
      this.stop()
    }
    if (dead !== null || (status === 'ended' && this.#seq >= Number(seq))) this.stop()
  }

  #add(events: readonly RunEvent[]): void {
    if (this.#isOver) return
    for (const event of events) {
      if (event.seq !== this.#seq + 1) continue
      this.#seq = event.seq
      this.#waiting.push(event)
    }
    if (this.#waiting.length > MOST_WAITING) {
      this.#error = new CaesuraError(
        'CAESURA_E_READER_SLOW',
        `more than ${MOST_WAITING} events of the run ${this.#runId} wait for this reader`,
        { hint: 'Read on after the last event that you saw.' },
      )
      this.#isOver = true
    }
    this.#wake?.()
  }
}
