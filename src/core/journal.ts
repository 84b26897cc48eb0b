import type { CallRequest } from './call.ts'
import { type Clock, msToNs, type Nanoseconds, nsToMs } from './clock.ts'
import type { SignalAnswer } from './engine.ts'
import type { ErrorSummary } from './errors.ts'
import type { RunEvent, RunEventBody } from './event.ts'
import { EventLog } from './event-log.ts'
import type { ExposingBoundary } from './live-experiment.ts'
import { OutputAllowance, type OutputLimits } from './output-limit.ts'
import type { Stage } from './pipeline.ts'
import type { ExperimentArm, ProcessRecord, RunRecord } from './record.ts'
import type { TraceContext } from './trace.ts'
import { type GeneratedText, Transcript, type TranscriptState } from './transcript.ts'
import type { TurnEntry } from './turn.ts'
import type { Visit, VisitOrigin } from './visit.ts'

/** What is known of one interrupt. Instants are ns from the run's start. */
export interface InterruptEntry {
  /** 1 for the first of the run. */
  readonly id: number
  readonly at: Nanoseconds
  /** The first signal of its gesture, where that was before `at`. */
  readonly firstSignalAt?: Nanoseconds
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
  /** The run has gone on without the interrupted call's stage, or has ended with it. */
  hasLeft?: boolean
  /** A cancel is among the first commands: the decision reaches the call with the mark `abort-requested`. */
  cancelsAtOnce?: boolean
  /** A newer signal took its place before it was carried out. */
  superseded: boolean
  /** A filter of the policy refused the signal. */
  suppressed?: boolean
  /** Who sent the signal and waits to hear what was decided. */
  answer?: (answer: SignalAnswer) => void
  /** By which the one who sent the signal is found again when the run goes on elsewhere. */
  ticket?: number
  /** Its input is a turn of the session: the id of the run that it becomes where no visit of this run sees it. */
  readonly own?: string
}

/** Which run it is. */
export interface RunIdentity {
  readonly runId: string
  /** The name of its pipeline. */
  readonly pipeline: string
  /** Of the pipeline: the record names their policies. */
  readonly stages?: readonly Stage[]
  readonly trace: TraceContext
  readonly experiment?: ExperimentArm
  /** The name of the token that it was submitted with. */
  readonly submittedBy?: string
  /** Who talks, whom the run counts for, and what else its caller said of it. */
  readonly session?: string
  readonly tenant?: string
  readonly tags?: Readonly<Record<string, string>>
  /** What it was asked. */
  readonly input?: string
  /** Where the arms of its experiment differ. */
  readonly exposing?: readonly ExposingBoundary[]
}

/** A process that hosts the run, or did. */
export interface RunOwner extends ProcessRecord {
  /** ns from the run's start. */
  readonly from: Nanoseconds
}

/** A journal without its events and texts, as plain JSON: what another owner needs to go on with the run. */
export interface JournalState {
  /** ms since 1970, with fractions. */
  readonly startedAt: number
  readonly calls: readonly TranscriptState[]
  readonly interrupts: readonly Omit<InterruptEntry, 'answer'>[]
  /** Absent in what older versions kept. */
  readonly visits?: readonly Visit[]
  /** Absent where nobody asked for them. */
  readonly turns?: readonly TurnEntry[]
  /** Those who hosted it so far. */
  readonly owners: readonly RunOwner[]
  /** As its trace has it. */
  readonly sampled?: boolean
}

/** A journal as it was kept. */
export interface KeptJournal {
  readonly state: JournalState
  /** All from the first on. */
  readonly events: readonly RunEvent[]
  /** Of the calls that have settled, by id. */
  readonly texts: ReadonlyMap<string, GeneratedText>
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
  readonly run: RunIdentity
  /** ms since 1970, with fractions. */
  readonly startedUnixMs: number
  readonly log: EventLog
  /** What the calls of this run may still generate. */
  readonly allowance: OutputAllowance
  readonly calls = new Map<string, Transcript>()
  readonly interrupts: InterruptEntry[] = []
  /** In the order in which the run came to them. */
  readonly visits: Visit[] = []
  /** In order; empty where nobody asked for them. */
  turns: readonly TurnEntry[] = []
  /** Empty in one process that does not trace. */
  readonly owners: RunOwner[] = []
  #end: (RunEnd & { readonly at: Nanoseconds }) | undefined
  readonly #clock: Clock
  readonly #origin: Nanoseconds

  /** `kept`: of a run that goes on here. Its time goes on too, by the wall clock, and never back before its last event. */
  constructor(run: RunIdentity, clock: Clock, limits?: Partial<OutputLimits>, kept?: KeptJournal) {
    this.run = run
    this.#clock = clock
    this.startedUnixMs = kept?.state.startedAt ?? clock.wall()
    const elapsedMs = kept === undefined ? 0 : Math.max(clock.wall() - this.startedUnixMs, kept.events.at(-1)?.ms ?? 0)
    this.#origin = clock.now() - msToNs(elapsedMs)
    this.log = new EventLog(run.runId, kept?.events)
    this.allowance = new OutputAllowance(limits)
    for (const state of kept?.state.calls ?? []) {
      const text = kept!.texts.get(state.request.callId)
      const call = Transcript.restore(state, text)
      // The text of one that had ended may still be handed out.
      if (text === undefined || state.settlement === undefined) noteTold(call, kept!.events)
      this.calls.set(state.request.callId, call)
    }
    this.interrupts.push(...(kept?.state.interrupts ?? []).map((entry) => ({ ...entry })))
    this.visits.push(...(kept?.state.visits ?? []))
    this.turns = kept?.state.turns ?? []
    this.owners.push(...(kept?.state.owners ?? []))
  }

  get runId(): string {
    return this.run.runId
  }

  get pipeline(): string {
    return this.run.pipeline
  }

  get trace(): TraceContext {
    return this.run.trace
  }

  get state(): JournalState {
    return {
      startedAt: this.startedUnixMs,
      calls: [...this.calls.values()].map((call) => call.state),
      interrupts: this.interrupts.map(({ answer: _, ...entry }) => entry),
      visits: this.visits,
      ...(this.turns.length > 0 && { turns: this.turns }),
      owners: this.owners,
      ...(this.trace.sampled !== undefined && { sampled: this.trace.sampled }),
    }
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

  /** This process hosts the run from now on. */
  own(owner: ProcessRecord): void {
    this.owners.push({ ...owner, from: this.now() })
  }

  /** The run comes to a stage. */
  openVisit(stage: string, from: VisitOrigin): Visit {
    const visit = { stage, visit: this.visits.filter((before) => before.stage === stage).length + 1, from }
    this.visits.push(visit)
    return visit
  }

  /** The ids of the calls of a visit. */
  callsIn({ stage, visit }: Visit): string[] {
    const calls = [...this.calls.values()].map(({ request }) => request)
    return calls.filter((call) => call.stage === stage && call.visit === visit).map(({ callId }) => callId)
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

/** Counts what readers were told of a call whose pieces come again. */
function noteTold(call: Transcript, events: readonly RunEvent[]): void {
  const { callId } = call.request
  const told = (type: RunEvent['type']) =>
    events.filter((event) => event.type === type && 'callId' in event && event.callId === callId).length
  call.toldBefore = told('token')
  call.toldBesideBefore = { thoughts: told('thinking'), toolCalls: told('tool-call') }
}
