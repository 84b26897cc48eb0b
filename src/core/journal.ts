import type { CallRequest } from './call.ts'
import { type Clock, type Nanoseconds, nsToMs } from './clock.ts'
import type { SignalAnswer } from './engine.ts'
import type { ErrorSummary } from './errors.ts'
import type { RunEventBody } from './event.ts'
import { EventLog } from './event-log.ts'
import { OutputAllowance, type OutputLimits } from './output-limit.ts'
import type { RunRecord } from './record.ts'
import { Transcript } from './transcript.ts'

/** What is known of one interrupt. Instants are ns from the run's start. */
export interface InterruptEntry {
  /** 1 for the first of the run. */
  readonly id: number
  readonly at: Nanoseconds
  readonly fromCall: string
  /** The call that took the place of `fromCall` when that failed, before the next stage was fired. */
  endCall?: string
  toCall?: string
  /** The call whose place `toCall` took when it failed before its first token. */
  firstTry?: string
  readonly trigger: string
  readonly input?: string
  readonly response: string
  readonly carry: string
  decision?: string
  reason?: string
  decidedAt?: Nanoseconds
  /** A cancel is among the first commands: the decision reaches the call with the mark `abort-requested`. */
  cancelsAtOnce?: boolean
  /** A newer signal took its place before it was carried out. */
  superseded: boolean
  /** A filter of the policy refused the signal. */
  suppressed?: boolean
  /** Who sent the signal and waits to hear what was decided. */
  answer?: (answer: SignalAnswer) => void
}

/** How a run ended. */
export interface RunEnd {
  readonly outcome: RunRecord['outcome']
  readonly error?: ErrorSummary
  readonly cancelReason?: string
  /** The call whose text is the answer; absent when no call was made. */
  readonly answerCall?: string
}

/** Everything that happens in one run, in memory: the one source of its record, its spans and its figures. */
export class Journal {
  readonly runId: string
  readonly pipeline: string
  readonly traceId: string
  readonly startedAt: Date
  readonly log: EventLog
  /** What the calls of this run may still generate. */
  readonly allowance: OutputAllowance
  readonly calls = new Map<string, Transcript>()
  readonly interrupts: InterruptEntry[] = []
  #end: (RunEnd & { readonly at: Nanoseconds }) | undefined
  readonly #clock: Clock
  readonly #origin: Nanoseconds

  constructor(run: { runId: string; pipeline: string; traceId: string }, clock: Clock, limits?: Partial<OutputLimits>) {
    this.runId = run.runId
    this.pipeline = run.pipeline
    this.traceId = run.traceId
    this.#clock = clock
    this.#origin = clock.now()
    this.startedAt = new Date(clock.wall())
    this.log = new EventLog(run.runId)
    this.allowance = new OutputAllowance(limits)
  }

  get end(): (RunEnd & { readonly at: Nanoseconds }) | undefined {
    return this.#end
  }

  /** Nanoseconds since the run's start. */
  now(): Nanoseconds {
    return this.#clock.now() - this.#origin
  }

  /** An instant of the run on the clock's own scale, for timers. */
  toClock(at: Nanoseconds): Nanoseconds {
    return at + this.#origin
  }

  /** An instant of the clock as one of the run. */
  fromClock(at: Nanoseconds): Nanoseconds {
    return at - this.#origin
  }

  tell(body: RunEventBody): void {
    this.log.append(nsToMs(this.now()), body)
  }

  openCall(request: CallRequest): Transcript {
    const transcript = new Transcript(request)
    this.calls.set(request.callId, transcript)
    return transcript
  }

  /** A call that this run made; asking for another is a fault of the caller. */
  call(callId: string): Transcript {
    const transcript = this.calls.get(callId)
    if (transcript === undefined) throw new Error(`no call ${callId} in run ${this.runId}`)
    return transcript
  }

  interrupt(id: number): InterruptEntry {
    const entry = this.interrupts[id - 1]
    if (entry === undefined) throw new Error(`no interrupt ${id} in run ${this.runId}`)
    return entry
  }

  close(end: RunEnd): void {
    this.#end = { ...end, at: this.now() }
    this.tell({ type: 'run-end', outcome: end.outcome })
    this.log.end()
  }
}
