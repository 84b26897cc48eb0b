import type { RunEvent } from './event.ts'
import type { Pipeline } from './pipeline.ts'
import type { ExperimentArm, RunRecord } from './record.ts'
import type { Acknowledgement, AcknowledgementAnswer } from './speaking.ts'
import type { TraceContext } from './trace.ts'

/** A signal that is known before the run starts, as `--interrupt` gives it. Comes at most once. */
export interface PlannedSignal {
  /** Counts from this stage's first call. Without it: from the run's start, whatever stage runs. */
  readonly stage?: string
  /** Exactly one of the two. */
  readonly afterMs?: number
  readonly afterTokens?: number
  readonly input?: string
}

export interface StartOptions {
  /** At most 1,048,576 UTF-16 units, as the input of a signal and each of `vars`. */
  readonly input: string
  readonly vars?: Readonly<Record<string, string>>
  /** Tokens a second that are handed to the reader, in place of what the pipeline says. */
  readonly pace?: number
  /** Interrupts that are planned ahead. */
  readonly interrupts?: readonly PlannedSignal[]
  /** @deprecated The older name of `interrupts`, beside which it is refused. */
  readonly signals?: readonly PlannedSignal[]
  /** Aborting it cancels the run. */
  readonly signal?: AbortSignal
  /** Made by default. */
  readonly runId?: string
  /** The trace that the run is to be part of; by default that of the span that is active in OpenTelemetry's API, else a new one. */
  readonly trace?: TraceContext
  /** Who asks: all runs of one session have the same arm of the pipeline's experiment. The run's id by default. */
  readonly session?: string
  /**
   * The arm of an experiment that somebody else assigned it to: named in its record and its spans. Where it is one of the pipeline's own
   * experiment, the run has that arm's policies.
   */
  readonly experiment?: ExperimentArm
}

/** What interrupts a run from outside. */
export interface Signal {
  readonly input?: string
  /** What the user had heard or seen of the answer when the signal was sent. */
  readonly heard?: Acknowledgement
}

/** What became of a signal. */
export type SignalAnswer =
  | { readonly accepted: true; readonly decision: string; readonly reason: string; readonly superseded: boolean }
  /** The run had ended (`CAESURA_E_RUN_ENDED`), or the policy ignores signals. */
  | { readonly accepted: false; readonly code?: 'CAESURA_E_RUN_ENDED'; readonly reason: string }

export interface RunHandle {
  readonly runId: string
  readonly traceId: string
  /** Every event from the first on; each iteration starts there. Being handed an event is what `delivered` means. */
  readonly events: AsyncIterable<RunEvent>
  /** The events after `seq`. */
  eventsAfter(seq: number): AsyncIterable<RunEvent>
  /** Sends a signal; resolves to what was decided. Rejects with `CAESURA_E_USAGE` for one that is none, and the run goes on without it. */
  interrupt(signal?: Signal): Promise<SignalAnswer>
  /**
   * Says what a user has really heard or seen of the answer so far. It only rises, and never beyond what was delivered. Resolves to whether it
   * counts; rejects with `CAESURA_E_USAGE` for what is no acknowledgement.
   */
  heard(acknowledgement: Acknowledgement): Promise<AcknowledgementAnswer>
  /** Settles every call, then ends the run. Does nothing after the end. Throws `CAESURA_E_USAGE` for a reason that is no text. */
  cancel(reason?: string): void
  /** Never rejects for a stage's failure: look at `outcome`. */
  readonly result: Promise<RunRecord>
}

export interface Engine extends AsyncDisposable {
  /** Throws when nothing can be started: `CAESURA_E_PIPELINE` for a placement that no node can satisfy, `CAESURA_E_USAGE` after `close` and for options or a pipeline that are none, `CAESURA_E_EXPERIMENT` for an arm that the pipeline's experiment does not have. */
  start(pipeline: Pipeline, options: StartOptions): RunHandle
  /**
   * Cancels what runs, waits until it has settled, closes nodes and records. Ends in bounded time: a call that its backend does not
   * end fails with `CAESURA_E_BACKEND`, and `close` rejects with the same, naming the node, once all else is closed.
   */
  close(): Promise<void>
}

/** The answer to an acknowledgement that comes after the run's end. */
export const endedHearing: AcknowledgementAnswer = {
  accepted: false,
  code: 'CAESURA_E_RUN_ENDED',
  reason: 'the run has ended',
}

/** The answer to a signal that comes after the run's end. */
export const endedAnswer: SignalAnswer = {
  accepted: false,
  code: 'CAESURA_E_RUN_ENDED',
  reason: 'the run has ended',
}
