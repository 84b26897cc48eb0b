import { assembleRecord } from '../core/assemble.ts'
import type { Journal } from '../core/journal.ts'
import type { RunRecord } from '../core/record.ts'
import type { FleetRedis } from './redis.ts'
import type { RunState } from './run-spec.ts'

/** An order of `append`: its name and up to four parameters. */
type Order = readonly [name: string, ...parameters: (string | number)[]]

const ORDER_LENGTH = 5

/** What a session writes for. */
export interface SessionRun {
  readonly journal: Journal
  readonly state: () => Omit<RunState, 'journal'>
}

/** How long ended runs are kept, and how many. */
export interface Retention {
  /** ms; 24 hours by default. */
  readonly keepMs: number
  /** 100,000 by default. */
  readonly keepMost: number
}

export const defaultRetention: Retention = { keepMs: 24 * 3_600_000, keepMost: 100_000 }

/**
 * What one owner writes of a run: events, state and orders, together or not at all, one write after the other, and only while no
 * other owner has the run. What is ordered takes effect after the state that ordered it is safe.
 */
export class RunSession {
  readonly runId: string
  readonly #redis: FleetRedis
  readonly #epoch: number
  readonly #retention: Retention
  readonly #wall: () => number
  #run: SessionRun | undefined
  #seq: number
  #orders: Order[] = []
  #afterwards: (() => void)[] = []
  readonly #kept = new Set<string>()
  #isDirty = false
  #isScheduled = false
  #writing: Promise<void> | undefined
  #isOver = false
  #record: RunRecord | undefined
  #lose!: (lost: { readonly lost: string }) => void
  #finish!: (record: RunRecord) => void
  /** The record, once it is written; or why the run is not ours any more. */
  readonly end: Promise<{ readonly record: RunRecord } | { readonly lost: string }>

  constructor(
    redis: FleetRedis,
    run: { runId: string; epoch: number; seq: number; kept: Iterable<string> },
    retention: Retention,
    wall: () => number,
  ) {
    this.runId = run.runId
    this.#redis = redis
    this.#epoch = run.epoch
    this.#seq = run.seq
    this.#kept = new Set(run.kept)
    this.#retention = retention
    this.#wall = wall
    this.end = new Promise((resolve) => {
      this.#lose = resolve
      this.#finish = (record) => resolve({ record })
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** From now on what the run's journal is told is written. */
  bind(run: SessionRun): void {
    this.#run = run
    run.journal.log.listener = (event) => {
      if (event.type === 'token') this.#schedule()
      else this.touch()
    }
  }

  /** The state has changed. */
  touch(): void {
    this.#isDirty = true
    this.#schedule()
  }

  /** To be carried out in Redis together with the state as it is now; `then` is called when both are on their way there. */
  order(order: Order, then?: () => void): void {
    this.#orders.push(order)
    if (then !== undefined) this.#afterwards.push(then)
    this.touch()
  }

  /** Resolves when everything so far is written, or the run is lost. */
  async flush(): Promise<void> {
    await this.#write()
  }

  /** Nothing is written any more. */
  lose(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#lose({ lost: reason })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isOver) return
    this.#isScheduled = true
    // The machine takes its whole step first, so that state and events fit together.
    queueMicrotask(() => {
      this.#isScheduled = false
      void this.#write()
    })
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      if (this.#writing !== undefined) {
        await this.#writing
        continue
      }
      const events = this.#run?.journal.log.since(this.#seq) ?? []
      if (events.length === 0 && !this.#isDirty && this.#orders.length === 0) return
      this.#writing = this.#append(events).finally(() => {
        this.#writing = undefined
      })
    }
  }

  async #append(events: ReturnType<Journal['log']['since']>): Promise<void> {
    const { journal, state } = this.#run!
    const ends = journal.end !== undefined && this.#record === undefined
    if (ends) this.#record = assembleRecord(journal)
    for (const [callId, call] of journal.calls) {
      if (call.end === undefined || this.#kept.has(callId)) continue
      this.#kept.add(callId)
      this.#orders.push(['text', callId, JSON.stringify(call.generated)], ['drop', callId])
    }
    if (ends) {
      const { keepMs, keepMost } = this.#retention
      this.#orders.push(['end', JSON.stringify(this.#record), keepMs, Math.floor(this.#wall()), keepMost])
    }
    const written =
      this.#isDirty && !ends ? JSON.stringify({ ...state(), journal: journal.state } satisfies RunState) : ''
    const [orders, afterwards] = [this.#orders, this.#afterwards]
    this.#orders = []
    this.#afterwards = []
    this.#isDirty = false
    const answered = this.#redis.call(
      'append',
      this.runId,
      this.#epoch,
      this.#seq,
      written,
      events.length,
      ...events.map((event) => JSON.stringify(event)),
      ...orders.flatMap((order) => Array.from({ length: ORDER_LENGTH }, (_, index) => order[index] ?? '')),
    )
    // What is to follow is sent without waiting: the connection keeps the order, and a write that is refused leaves tickets without
    // a call, which count for nothing.
    for (const then of afterwards) then()
    const [answer, found] = await answered
    // Sent again because the answer was lost with the connection: it was written the first time.
    const wasWritten = answer === 'gap' && events.length > 0 && Number(found) === this.#seq + events.length
    if (answer !== 'ok' && !wasWritten) {
      this.lose(
        answer === 'older' ? 'another worker has taken the run over' : `Redis has lost what was written (${answer})`,
      )
      return
    }
    this.#seq += events.length
    if (ends) {
      this.#isOver = true
      this.#finish(this.#record!)
    }
  }
}
