import type { Signal, SignalAnswer } from './engine.ts'
import { CaesuraError } from './errors.ts'
import type { Figures } from './figures.ts'
import type { Fleet, FleetRunLine, TurnOptions, TurnTaken } from './fleet.ts'
import type { Pipeline } from './pipeline.ts'

/** Where a run is, as the API tells it. */
export interface HostedRunLine extends FleetRunLine {
  /** Present where the run has ended and its events are kept no more. Its record is. */
  readonly eventsGone?: true
}

/** What became of an input of a session, as far as it is known by now: `answer` is absent while nothing is decided. The signal is safe then. */
export type HostedTurn =
  | Exclude<TurnTaken, { became: 'signal' }>
  | (Omit<Extract<TurnTaken, { became: 'signal' }>, 'answer'> & { readonly answer?: SignalAnswer })

/** What a host does as `Fleet` says it. */
type AsFleet = Pick<
  Fleet,
  | 'submit'
  | 'session'
  | 'deleteSession'
  | 'read'
  | 'list'
  | 'events'
  | 'heard'
  | 'cancel'
  | 'dead'
  | 'deadRun'
  | 'retryDead'
  | 'dropDead'
  | 'nodes'
>

/**
 * Who hosts the runs that the HTTP API is asked for: a fleet behind a Redis, or this process. Each call but `events` ends in bounded
 * time: where runs cannot be reached now it throws an error that is answered with 503, such as `CAESURA_E_REDIS`.
 */
export interface RunHost extends AsFleet {
  /** Where a run is, without reading all that is kept of it. Throws `CAESURA_E_RUN_UNKNOWN`. */
  look(runId: string): Promise<HostedRunLine>
  /** What `submit` was given with a run to tell bodies under one id apart; undefined where it was given nothing. */
  fingerprintOf(runId: string): Promise<string | undefined>
  /**
   * Sends a signal. Resolves to what was decided; undefined when nothing was decided within `limitMs`, ms: the signal is safe then.
   * Throws `CAESURA_E_RUN_UNKNOWN`.
   */
  interrupt(runId: string, signal: Signal, limitMs: number): Promise<SignalAnswer | undefined>
  /** Takes an input of a session in, as `Fleet.say`. Waits for what is decided of a signal for at most `limitMs`, ms. */
  say(pipeline: Pipeline, turn: TurnOptions, limitMs: number): Promise<HostedTurn>
  /** Orders a run to end that nobody waits for: now, or when it can be reached again. Never rejects. */
  leave(runId: string, reason: string): Promise<void>
  /** Resolves where runs can be started now. Throws within `limitMs`, ms, where they cannot. */
  ready(limitMs: number): Promise<void>
  /** Has these figures tell of the host from now on. Returns what ends this. */
  watch(figures: Figures): () => void
}

/** Why the events of a run that has ended cannot be read any more. */
export const eventsGone = (runId: string): CaesuraError =>
  new CaesuraError('CAESURA_E_RUN_ENDED', 'the run has ended, and its events are kept no more', {
    received: runId,
    hint: `Read its record: GET /v1/runs/${runId}`,
  })
