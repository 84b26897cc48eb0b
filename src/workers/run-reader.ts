import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import type { FleetRedis } from './redis.ts'
import { asEvent, parseJson, unreadable } from './wire.ts'

/**
 * What waits here for one reader at most: so many events, or so many characters of them. What comes then stays in Redis until the reader
 * has taken these, so that a reader that is slow, or takes nothing, costs little here however many there are.
 */
export const WINDOW_EVENTS = 128
export const WINDOW_CHARACTERS = 32_768
/** Entries of the first read from Redis, and of any. */
const FIRST_PAGE = 16
const LARGEST_PAGE = 256

/** Events with their lengths in characters, reckoned once for all readers. */
export interface Told {
  readonly events: readonly RunEvent[]
  readonly lengths: readonly number[]
}

export const told = (events: readonly RunEvent[]): Told => ({ events, lengths: events.map(lengthOf) })

/** Roughly. */
function lengthOf(event: RunEvent): number {
  let length = 100
  for (const value of Object.values(event)) if (typeof value === 'string') length += value.length
  return length
}

/** What Redis says of a run beside its events: status, number of the last event, why it was put aside. */
export type RunMarks = readonly [status: string | null, seq: string | null, dead: string | null]

export const marksOf = async ({ client, keys }: FleetRedis, runId: string): Promise<RunMarks> =>
  (await client.hmget(keys.run(runId), 'status', 'seq', 'dead')) as unknown as RunMarks

/** Reads one run's events in order and each once: from where they are kept, and as they come into the inbox. */
export class RunReader {
  readonly #redis: FleetRedis
  readonly #runId: string
  /** The last event that was taken in. */
  #seq: number
  readonly #waiting: RunEvent[] = []
  readonly #lengths: number[] = []
  #characters = 0
  /** There may be more in Redis than was taken in. */
  #isBehind = false
  #page = FIRST_PAGE
  #wake: (() => void) | undefined
  #isOver = false
  #sawDead = false
  #error: CaesuraError | undefined
  #catchingUp = false

  constructor(redis: FleetRedis, runId: string, after: number) {
    this.#redis = redis
    this.#runId = runId
    this.#seq = after
  }

  /** How many events wait here. */
  get held(): number {
    return this.#waiting.length
  }

  /** Takes events from the inbox. What is missing before them is read from where it is kept. */
  take(told: Told): void {
    const first = told.events[0]?.seq ?? 0
    if (first > this.#seq + 1 || !this.#add(told)) this.catchUp()
  }

  /** Reads what is kept, as much as there is room for. */
  catchUp(): void {
    this.#isBehind = true
    if (this.#catchingUp || this.#isOver || !this.#hasRoom) return
    this.#catchingUp = true
    void this.#readKept()
      .catch(() => true)
      .then((isDone) => {
        this.#catchingUp = false
        // It may have taken all of it meanwhile.
        if (!isDone && this.#hasRoom) this.catchUp()
      })
  }

  /** What Redis says of the run now: reads on where it has told more, ends where it tells no more. */
  review(marks: RunMarks): void {
    if (this.#isBehind || Number(marks[1]) > this.#seq) this.catchUp()
    else this.#endBy(marks)
  }

  stop(): void {
    this.#isOver = true
    this.#wake?.()
  }

  /** Throws `CAESURA_E_RUN_UNKNOWN` when Redis has lost the run. */
  async *events(): AsyncGenerator<RunEvent, void, undefined> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event !== undefined) {
        this.#characters -= this.#lengths.shift()!
        if (this.#isBehind && this.#waiting.length < WINDOW_EVENTS / 2) this.catchUp()
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

  get #hasRoom(): boolean {
    return this.#waiting.length < WINDOW_EVENTS && this.#characters < WINDOW_CHARACTERS
  }

  /** False where there was no room for all. */
  async #readKept(): Promise<boolean> {
    const { client, keys } = this.#redis
    for (;;) {
      const [page, before] = [this.#page, this.#seq]
      const entries = await client.xrange(keys.events(this.#runId), `(${this.#seq}-0`, '+', 'COUNT', page)
      const events = entries.map(([, [, text]]) => asEvent(parseJson(text)))
      if (events.includes(undefined)) {
        this.#error = unreadable(`the events of the run ${this.#runId}`)
        this.stop()
        return true
      }
      const read = told(events as RunEvent[])
      // As many as there is room for the next time, by what these were like.
      const characters = read.lengths.reduce((sum, length) => sum + length, 1)
      const fitting = Math.floor((WINDOW_CHARACTERS * Math.max(1, entries.length)) / characters)
      this.#page = Math.max(1, Math.min(fitting, 2 * page, LARGEST_PAGE))
      // The reader's turn: it asks for the rest.
      if (!this.#add(read) || (entries.length === page && !this.#hasRoom)) return false
      if (entries.length === page && this.#seq > before) continue
      const marks = await marksOf(this.#redis, this.#runId)
      const isAll = Number(marks[1]) <= this.#seq
      // A run that is put aside has its last event with that: it may have come since the read.
      if (marks[2] !== null && !isAll && !this.#sawDead) {
        this.#sawDead = true
        continue
      }
      if (isAll) this.#isBehind = false
      // More has come meanwhile, or Redis has lost it.
      if (isAll || this.#seq === before) {
        this.#endBy(marks)
        return true
      }
    }
  }

  /** A run that was put aside has no last event, and one that has ended tells no more. */
  #endBy([status, seq, dead]: RunMarks): void {
    if (status === null) {
      this.#error = new CaesuraError('CAESURA_E_RUN_UNKNOWN', `Redis does not know this run any more: ${this.#runId}`)
      this.stop()
    }
    if (dead !== null || (status === 'ended' && this.#seq >= Number(seq))) this.stop()
  }

  /** False where not all of them found room. */
  #add({ events, lengths }: Told): boolean {
    if (this.#isOver) return true
    let isWhole = true
    for (const [index, event] of events.entries()) {
      if (event.seq !== this.#seq + 1) continue
      if (!this.#hasRoom) {
        isWhole = false
        break
      }
      this.#seq = event.seq
      this.#waiting.push(event)
      this.#lengths.push(lengths[index]!)
      this.#characters += lengths[index]!
    }
    this.#wake?.()
    return isWhole
  }
}
