import { endedAnswer, endedHearing, type Signal, type SignalAnswer } from '../../core/engine.ts'
import type { RunEvent } from '../../core/event.ts'
import type { EventLog } from '../../core/event-log.ts'
import { eventTextLength } from '../../core/event-text.ts'
import { lineOf, unknownRun } from '../../core/fleet.ts'
import type { EngineRun, PreparedRun, RunNote } from '../../core/hosting.ts'
import { present } from '../../core/present.ts'
import type { RunRecord } from '../../core/record.ts'
import type { HostedRunLine } from '../../core/run-host.ts'
import type { Acknowledgement, AcknowledgementAnswer } from '../../core/speaking.ts'

/** A run in this process: before it begins, while it goes on, and for a while after its end. */
export class KeptRun {
  readonly note: RunNote
  /** What it is asked, until it has ended. */
  input: string
  #prepared: PreparedRun | undefined
  #run: EngineRun | undefined
  #log: EventLog | undefined
  /** Why it is to end as soon as it has begun. */
  #cancelled: string | undefined
  #ended: { readonly record?: RunRecord } | undefined
  readonly #begun = Promise.withResolvers<EngineRun>()

  constructor(note: RunNote, input: string, prepared: PreparedRun) {
    this.note = note
    this.input = input
    this.#prepared = prepared
    this.#begun.promise.catch(() => undefined)
  }

  get hasBegun(): boolean {
    return this.#prepared === undefined
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  /** The number of its last event so far. */
  get seq(): number {
    return this.#log?.length ?? 0
  }

  /** Once it has ended, with its texts. Absent where it could not be kept. */
  get record(): RunRecord | undefined {
    return this.#ended?.record
  }

  get line(): HostedRunLine {
    const { runId, pipeline, submittedAt, tenant, submittedBy } = this.note
    const status = this.hasEnded ? 'ended' : this.hasBegun ? 'running' : 'waiting'
    return {
      ...{ runId, pipeline, status, submittedAt, tenant, seq: this.seq },
      ...present({ submittedBy }),
      ...(this.record !== undefined && { ended: lineOf(this.record) }),
    }
  }

  /** Roughly what its events take in memory, characters. */
  get size(): number {
    let size = 0
    for (const event of this.#log?.since(0) ?? []) size += 200 + eventTextLength(event)
    return size
  }

  /** Begins it. `whenEnded` is called once; without a record where the run could not be kept. */
  begin(whenEnded: (record: RunRecord | undefined, error?: unknown) => void): void {
    const run = this.#prepared!.begin()
    this.#prepared = undefined
    this.#run = run
    this.#log = run.log
    this.#begun.resolve(run)
    if (this.#cancelled !== undefined) run.cancel(this.#cancelled)
    const end = (record: RunRecord | undefined, error?: unknown) => {
      this.#ended = present({ record })
      // What stays is its events and its record.
      this.#run = undefined
      whenEnded(record, error)
      this.input = ''
    }
    run.result.then(
      (record) => end(record),
      (error) => end(undefined, error),
    )
  }

  /** The events after `seq`, as `EventLog.after`, from when the run has begun. */
  async *events(seq: number, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined> {
    if (this.#log === undefined) await Promise.race([this.#begun.promise, aborted(signal)])
    if (this.#log !== undefined) yield* this.#log.after(seq, signal)
  }

  async heard(acknowledgement: Acknowledgement): Promise<AcknowledgementAnswer> {
    if (this.hasEnded) return endedHearing
    return this.#run?.heard(acknowledgement) ?? { accepted: false, reason: 'the run has said nothing yet' }
  }

  async interrupt(signal: Signal): Promise<SignalAnswer> {
    if (this.hasEnded) return endedAnswer
    return (await this.#begun.promise).interrupt(signal)
  }

  /** An input of its session: see `SessionRun.say`. */
  async say(input: string, own: string): Promise<SignalAnswer> {
    if (this.hasEnded) return endedAnswer
    return (await this.#begun.promise).say(input, own)
  }

  /** Ends it, now or when it has begun. */
  cancel(reason: string): void {
    if (this.#run === undefined) this.#cancelled ??= reason
    else this.#run.cancel(reason)
  }

  /** It never begins. */
  drop(): void {
    this.#begun.reject(unknownRun(this.note.runId))
  }
}

const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve()
    else signal?.addEventListener('abort', () => resolve(), { once: true })
  })
