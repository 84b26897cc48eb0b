import type { Signal, SignalAnswer, StartOptions } from './engine.ts'
import { CaesuraError } from './errors.ts'
import type { RunEvent } from './event.ts'
import type { Busy, Pipeline } from './pipeline.ts'
import { present } from './present.ts'
import type { RunRecord } from './record.ts'
import type { KeptSession } from './session.ts'
import type { Acknowledgement, AcknowledgementAnswer } from './speaking.ts'

/** Where the fleet's Redis is. */
export interface FleetAddress {
  /** `redis://HOST:PORT`, `redis+sentinel://HOST:PORT,HOST:PORT/NAME`, `redis+cluster://HOST:PORT,HOST:PORT`; `rediss` for TLS. */
  readonly url: string
  /** Of all keys; `{caesura}` by default. */
  readonly prefix?: string
}

/** What a fleet takes at most. Beyond it `submit` throws `CAESURA_E_FLEET_FULL`. */
export interface FleetLimits {
  /** Runs that wait for a worker; 20,000 by default. */
  readonly maxWaiting?: number
  /** The share of Redis's `maxmemory` that may be in use, from 0 to 1; 0.8 by default. Of no effect where Redis has no `maxmemory`. */
  readonly memoryShare?: number
}

/** What is said in a session. */
export interface TurnOptions extends SubmitOptions {
  readonly session: string
  /** What becomes of it while a run of the session is live; as the pipeline says by default. */
  readonly busy?: Busy
}

/** What became of an input of a session. */
export type TurnTaken =
  /** It began a run, or is one that begins when those before it have ended. */
  | { readonly became: 'run' | 'queue'; readonly runId: string; readonly traceId: string }
  /** It was a signal to the live run. `ownRunId`: the run that it becomes where no visit of that one sees it. */
  | {
      readonly became: 'signal'
      readonly runId: string
      readonly ownRunId: string
      readonly answer: Promise<SignalAnswer>
    }

/** What is said of a run when it is submitted, beside what `Engine.start` takes. */
export interface SubmitOptions extends Omit<StartOptions, 'signal'> {
  /** Tells what was asked under one run id apart. */
  readonly fingerprint?: string
  /** The name of the token that it is submitted with: kept in its record. */
  readonly submittedBy?: string
  /** Whom it counts for: the next run of one that has many waits behind those of one that has few. Nobody by default. */
  readonly tenant?: string
  /** Smaller goes first; 0 by default. */
  readonly priority?: number
  /** Alias → the model's name as the servers know it. */
  readonly models?: Readonly<Record<string, string>>
}

/** What a list tells of a run that has ended. */
export interface RunLine {
  readonly outcome: RunRecord['outcome']
  readonly startedAt: string
  /** ms. */
  readonly durationMs: number
  /** How many there were. */
  readonly interrupts: number
  readonly wastedTokens: number
  /** Of the first interrupt that has one, ms. */
  readonly toFirstTokenMs?: number
}

/** Where a run is, without what it was asked and what it said. */
export interface FleetRunLine {
  readonly runId: string
  readonly pipeline: string
  /** `waiting`: no worker has begun with it. */
  readonly status: 'waiting' | 'running' | 'ended'
  /** ms since 1970. */
  readonly submittedAt: number
  readonly tenant: string
  /** The number of its last event so far. */
  readonly seq: number
  /** The name of the token that it was submitted with. */
  readonly submittedBy?: string
  /** Once it has ended. */
  readonly ended?: RunLine
  /** Why it was put aside: what Redis holds of it could not be read. Then it has ended without a record. */
  readonly dead?: string
}

/** Where a run is. */
export interface FleetRun extends FleetRunLine {
  /** Once it has ended. */
  readonly record?: RunRecord
}

/** The error for an id that no run has. */
export const unknownRun = (runId: string): CaesuraError =>
  new CaesuraError('CAESURA_E_RUN_UNKNOWN', `no run has this id: ${runId}`, { received: runId })

/** What a list tells of a run, from its record. */
export function lineOf({ outcome, startedAt, durationMs, interrupts, cost }: RunRecord): RunLine {
  const first = interrupts.find(({ toFirstTokenMs }) => toFirstTokenMs !== undefined)?.toFirstTokenMs
  return {
    ...{ outcome, startedAt, durationMs, interrupts: interrupts.length, wastedTokens: cost.wastedTokens },
    ...present({ toFirstTokenMs: first }),
  }
}

/** Which runs to list. */
export interface RunFilter {
  readonly status?: 'live' | 'ended'
  readonly pipeline?: string
  readonly tenant?: string
  readonly outcome?: RunRecord['outcome']
  /** At most so many; 50 by default, 500 at most. A page may hold fewer: there are more as long as there is a cursor. */
  readonly limit?: number
  /** Where the page before ended. */
  readonly cursor?: string
}

/** A node that a stage worker serves, as it said itself at `seen`. */
export interface FleetNode {
  readonly name: string
  /** The worker that serves it. */
  readonly worker: string
  readonly pool: string
  readonly backend: string
  readonly address?: string
  readonly slots: number
  readonly busy: number
  /** That it takes calls for. Empty with `anyModel`. */
  readonly models: readonly string[]
  /** It takes calls for any model. */
  readonly anyModel?: boolean
  /** Of this software. */
  readonly version: string
  /** `down`: its server does not answer, or fails again and again. */
  readonly state: 'up' | 'down' | 'stopping'
  readonly reason?: string
  /** ms since 1970 on the fleet's clock. */
  readonly seen: number
}

/** What a fleet has to do, and who does it. */
export interface FleetLoad {
  readonly nodes: readonly FleetNode[]
  /** Runs that wait for a worker (`runs`), and calls that wait for a pool (`pool-NAME`) or one node (`node-NAME`). */
  readonly queues: readonly { readonly queue: string; readonly waiting: number }[]
  /** Runs that have not ended. */
  readonly liveRuns: number
  /** Workers that host runs and gave a sign of life within the last 10 s. */
  readonly pipelineWorkers: number
}

/** What a fleet put aside, and why: a run that can't go on, or a job that is no ticket. */
export interface DeadEntry {
  /** Absent where a job named no run. */
  readonly runId?: string
  /** The data of a job that is no ticket. */
  readonly job?: unknown
  /** ISO 8601. */
  readonly at: string
  readonly error: { readonly code: string; readonly message: string }
}

/** A run that was put aside, with what is still known of it. */
export interface DeadRun extends DeadEntry {
  readonly runId: string
  /** These are absent where the run itself is not kept any more. */
  readonly pipeline?: string
  readonly tenant?: string
  /** ms since 1970. */
  readonly submittedAt?: number
  /** How many events it had. */
  readonly events?: number
}

/** The fleet as any process sees it. Everything waits while Redis is away, and goes on when it is back. */
export interface Fleet {
  /**
   * Submits a run, assigned to an arm where its pipeline has an experiment. With the id of a run that is there already nothing new is
   * started (`isNew` false). Resolves once the run is safe. Throws `CAESURA_E_USAGE` for an id or a session that is none,
   * `CAESURA_E_EXPERIMENT` for an arm that the experiment does not have, `CAESURA_E_FLEET_FULL` where too many runs wait or Redis is
   * nearly full.
   */
  submit(pipeline: Pipeline, options: SubmitOptions): Promise<{ runId: string; traceId: string; isNew: boolean }>
  /** Throws `CAESURA_E_RUN_UNKNOWN`. */
  read(runId: string): Promise<FleetRun>
  /** Takes an input of a session in; none is lost. Throws as `submit` does, `CAESURA_E_SESSION_BUSY`, `CAESURA_E_SESSION_UNKNOWN` for one of another tenant. */
  say(pipeline: Pipeline, turn: TurnOptions): Promise<TurnTaken>
  /** A session; undefined where there is none of this id. */
  session(id: string): Promise<KeptSession | undefined>
  /** Deletes a session, cancels what is live in it and drops what waits. False where there is none; with `tenant` also where it counts for another one. */
  deleteSession(id: string, tenant?: string): Promise<boolean>
  /** Where a run is, without reading all that is kept of it. Throws `CAESURA_E_RUN_UNKNOWN`. */
  look(runId: string): Promise<FleetRunLine>
  /** Newest first: those that have not ended, then those that have. */
  list(filter?: RunFilter): Promise<{ readonly runs: readonly FleetRunLine[]; readonly cursor?: string }>
  /** The events after `seq`, then those to come, to the run's end or until the signal is aborted. A slow reader costs little: what it has not taken stays in Redis. Throws `CAESURA_E_RUN_UNKNOWN`. */
  events(runId: string, seq?: number, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined>
  /** Sends a signal; resolves to what was decided, wherever the run is. Throws `CAESURA_E_RUN_UNKNOWN`. */
  interrupt(runId: string, signal?: Signal): Promise<SignalAnswer>
  /** What a user has heard or seen: see `RunHandle.heard`. Throws `CAESURA_E_RUN_UNKNOWN`. */
  heard(runId: string, acknowledgement: Acknowledgement): Promise<AcknowledgementAnswer>
  /** Orders the run to end; false where it had ended. Throws `CAESURA_E_RUN_UNKNOWN`. */
  cancel(runId: string, reason?: string): Promise<boolean>
  /**
   * Stops an experiment on live traffic for all runs that are submitted from now on, by whomever: they are made as their pipeline says.
   * Runs that are under way keep their arm. False where it was stopped already.
   */
  stopExperiment(name: string): Promise<boolean>
  /** Lets it go on, with the same arms for the same sessions. False where it was not stopped. */
  resumeExperiment(name: string): Promise<boolean>
  /** The names of those that are stopped, in order. */
  stoppedExperiments(): Promise<readonly string[]>
  /** What was put aside, newest first: at most 1,000. */
  dead(): Promise<readonly DeadEntry[]>
  /** One of them, by its whole id. Throws `CAESURA_E_RUN_UNKNOWN` where it is not on the list. */
  deadRun(runId: string): Promise<DeadRun>
  /**
   * Starts a run that was put aside once more, from its beginning, under a new id, and takes it off the list. Asked twice at once it
   * starts one run. Throws
   * `CAESURA_E_RUN_UNKNOWN` where it is not on the list, `CAESURA_E_STATE` where what it was to run can't be read.
   */
  retryDead(runId: string): Promise<{ runId: string; traceId: string }>
  /** Takes a run off the list. False where it was not on it. */
  dropDead(runId: string): Promise<boolean>
  /** Who serves calls now, by name. */
  nodes(): Promise<readonly FleetNode[]>
  /** What there is to do now, in four requests to Redis however much that is. */
  load(): Promise<FleetLoad>
  /** How long Redis takes to answer, ms. Throws `CAESURA_E_REDIS` when it does not within `limitMs`. */
  ping(limitMs: number): Promise<number>
  close(): Promise<void>
}
