import { assembleRecord } from '../core/assemble.ts'
import type { RunEvent } from '../core/event.ts'
import type { Journal } from '../core/journal.ts'
import type { RunRecord } from '../core/record.ts'
import type { Answer, GroupWriter } from './group-writer.ts'
import { lineText, type Submitted } from './run-list.ts'
import type { RunState } from './run-spec.ts'

/** An order of `append`: its name and up to five parameters. */
type Order = readonly [name: string, ...parameters: (string | number)[]]

const ORDER_LENGTH = 6
/** What stands before the run of its session whose turn it is. No call has such an id. */
const NEXT = 'next '

/** How many events, and characters of them, one write takes; what has piled up goes in several. */
const MOST_EVENTS = 1000
const MOST_CHARACTERS = 262_144

/** What follows an order. */
interface Afterwards {
  /** Called when order and state are on their way to Redis. */
  sent?(): void
  /** Called when both are written, with the calls that a worker was asked to take; undefined where that is not known. */
  written?(handedOver: readonly string[] | undefined): void
}

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
  readonly #group: GroupWriter
  readonly #epoch: number
  readonly #retention: Retention
  readonly #wall: () => number
  readonly #submitted: Submitted
  #run: SessionRun | undefined
  #seq: number
  /** Whether this process sends the spans of runs. */
  readonly #traces: boolean
  readonly #next: ((runId: string) => void) | undefined
  readonly #asKept: (record: RunRecord) => RunRecord
  #orders: Order[] = []
  #afterwards: Afterwards[] = []
  readonly #kept = new Set<string>()
  #isDirty = false
  #isScheduled = false
  #writing: Promise<void> | undefined
  #isOver = false
  #record: RunRecord | undefined
  #lose!: (lost: { readonly lost: string; readonly isBroken: boolean }) => void
  #finish!: (record: RunRecord) => void
  /** The record, once it is written; or why the run is not ours any more. */
  readonly end: Promise<{ readonly record: RunRecord } | { readonly lost: string; readonly isBroken: boolean }>

  constructor(
    group: GroupWriter,
    run: {
      runId: string
      submitted: Submitted
      epoch: number
      seq: number
      kept: Iterable<string>
      traces: boolean
      /** Called with the run of its session whose turn it is, when it has ended. */
      next?(runId: string): void
      asKept?(record: RunRecord): RunRecord
    },
    retention: Retention,
    wall: () => number,
  ) {
    this.runId = run.runId
    this.#group = group
    this.#submitted = run.submitted
    this.#epoch = run.epoch
    this.#seq = run.seq
    this.#traces = run.traces
    this.#next = run.next
    this.#asKept = run.asKept ?? ((record) => record)
    this.#kept = new Set(run.kept)
    this.#retention = retention
    this.#wall = wall
    this.end = new Promise((resolve) => {
      this.#lose = resolve
      this.#finish = (record) => resolve({ record })
    })
  }

  get epoch(): number {
    return this.#epoch
  }

  /** The number of the last event that is written. */
  get seq(): number {
    return this.#seq
  }

  /** Events that are told and not written. */
  get backlog(): number {
    return (this.#run?.journal.log.length ?? this.#seq) - this.#seq
  }

  get isWriting(): boolean {
    return this.#writing !== undefined
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** From now on what the run's journal is told is written. */
  bind(run: SessionRun): void {
    this.#run = run
    run.journal.log.listener = (event) => {
      if (isPiece(event)) this.#schedule()
      else this.touch()
    }
  }

  /** The state has changed. */
  touch(): void {
    this.#isDirty = true
    this.#schedule()
  }

  /** To be carried out in Redis together with the state as it is now. */
  order(order: Order, afterwards?: Afterwards): void {
    this.#orders.push(order)
    if (afterwards !== undefined) this.#afterwards.push(afterwards)
    this.touch()
  }

  /** Resolves when everything so far is written, or the run is lost. */
  async flush(): Promise<void> {
    await this.#write()
  }

  /** Nothing is written any more. `isBroken`: what Redis holds of the run can't be used, by nobody. */
  lose(reason: string, isBroken = false): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#lose({ lost: reason, isBroken })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isOver) return
    this.#isScheduled = true
    // The machine takes its whole step first, so that state and events fit together.
    queueMicrotask(() => {
      this.#isScheduled = false
      // What goes wrong in it ends in `lose`.
      void this.#write()
    })
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      if (this.#writing !== undefined) {
        await this.#writing
        continue
      }
      const hasEvents = this.#run !== undefined && this.#run.journal.log.length > this.#seq
      if (!hasEvents && !this.#isDirty && this.#orders.length === 0) return
      this.#writing = this.#append().finally(() => {
        this.#writing = undefined
      })
    }
  }

  async #append(): Promise<void> {
    let events = 0
    let ends = false
    let afterwards: Afterwards[] = []
    let written: Answer
    try {
      written = await this.#group.write({
        parameters: () => {
          // A run that was left must not be written as it was left.
          if (this.#isOver) return undefined
          const parameters = this.#parameters()
          ;({ events, ends, afterwards } = parameters)
          return parameters.all
        },
        // The connection keeps the order; a write that is refused leaves tickets without a call, which count for nothing.
        sent: () => {
          for (const { sent } of afterwards) sent?.()
        },
      })
    } catch (error) {
      written = ['error', error instanceof Error ? error.message : String(error)]
    }
    const [answer, ...rest] = written
    if (answer === 'nothing') return
    // Sent again because the answer was lost with the connection: it was written the first time.
    const wasWritten = answer === 'gap' && events > 0 && Number(rest[0]) === this.#seq + events
    if (answer !== 'ok' && !wasWritten) {
      if (answer === 'older' && rest[0] !== '') this.lose('another worker has taken the run over')
      else if (answer === 'gap' || answer === 'older') this.lose('Redis has lost what was written')
      else {
        const why = String(rest[0])
        this.lose(`Redis does not take what is written of it: ${why}`, !/connection is closed/i.test(why))
      }
      return
    }
    this.#seq += events
    const told = answer === 'ok' ? (rest as string[]) : undefined
    const handedOver = told?.filter((each) => !each.startsWith(NEXT))
    const following = told?.find((each) => each.startsWith(NEXT))?.slice(NEXT.length)
    if (following !== undefined) this.#next?.(following)
    for (const { written: then } of afterwards) then?.(handedOver)
    if (ends) {
      this.#isOver = true
      this.#finish(this.#record!)
    }
  }

  /** What is to be written now. */
  #parameters(): { all: (string | number)[]; events: number; ends: boolean; afterwards: Afterwards[] } {
    const { journal, state } = this.#run!
    const tokens = leadingTokens(journal.log.since(this.#seq, MOST_EVENTS + 1))
    if (tokens > 0) {
      const all: (string | number)[] = [this.runId, this.#epoch, this.#seq, '', tokens]
      for (const event of journal.log.since(this.#seq, tokens)) all.push(JSON.stringify(event))
      return { all, events: tokens, ends: false, afterwards: [] }
    }
    const events = journal.log.since(this.#seq)
    const ends = journal.end !== undefined && this.#record === undefined
    if (ends) this.#record = assembleRecord(journal)
    for (const [callId, call] of journal.calls) {
      if (call.end === undefined || this.#kept.has(callId)) continue
      this.#kept.add(callId)
      // A call whose news are dropped must be known as ended.
      this.#isDirty = true
      this.#orders.push(['text', callId, JSON.stringify(call.generated)], ['drop', callId])
    }
    if (ends) {
      const { keepMs, keepMost } = this.#retention
      if (this.#traces && journal.trace.sampled) this.#orders.push(['untold', Math.floor(this.#wall())])
      const { outcome, pipeline } = this.#record!
      this.#orders.push(['line', lineText(this.#submitted, journal.log.length, this.#record!), outcome, pipeline])
      this.#orders.push([
        'end',
        JSON.stringify(this.#asKept(this.#record!)),
        keepMs,
        Math.floor(this.#wall()),
        keepMost,
      ])
    }
    const written =
      this.#isDirty && !ends ? JSON.stringify({ ...state(), journal: journal.state } satisfies RunState) : ''
    const [orders, afterwards] = [this.#orders, this.#afterwards]
    this.#orders = []
    this.#afterwards = []
    this.#isDirty = false
    const all: (string | number)[] = [this.runId, this.#epoch, this.#seq, written, events.length]
    for (const event of events) all.push(JSON.stringify(event))
    for (const order of orders) for (let index = 0; index < ORDER_LENGTH; index++) all.push(order[index] ?? '')
    return { all, events: events.length, ends, afterwards }
  }
}

/** Such events come by the thousand, and the state knows nothing of them. */
const isPiece = (event: RunEvent): event is Extract<RunEvent, { type: 'token' | 'thinking' }> =>
  event.type === 'token' || event.type === 'thinking'

/**
 * How many pieces come first among more events than one write takes; 0 where all go in one write. Pieces may be written without the state,
 * which knows nothing of them: whoever takes the run over reads them again. What follows the pieces goes with the state.
 */
function leadingTokens(events: readonly RunEvent[]): number {
  let [count, characters] = [0, 0]
  for (const event of events) {
    if (count === MOST_EVENTS || characters > MOST_CHARACTERS) return count
    if (!isPiece(event)) break
    count += 1
    characters += event.text.length
  }
  return events.length > MOST_EVENTS ? count : 0
}
