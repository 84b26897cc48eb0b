import type { RunHandle, SignalAnswer, StartOptions } from './engine.ts'
import type { EventLog } from './event-log.ts'
import type { RunLine } from './fleet.ts'
import type { Pipeline } from './pipeline.ts'
import type { Node } from './ports.ts'
import type { RunRecord } from './record.ts'
import type { SessionStore } from './session.ts'
import type { SessionLines } from './session-lines.ts'

/** A run of an engine in this process, as its host sees it. */
export interface EngineRun extends RunHandle {
  /** Sends it an input of its session: see `SessionRun.say`. */
  say(input: string, own: string): Promise<SignalAnswer>
  /** Its events. Being read there counts as delivered. */
  readonly log: EventLog
}

/** A run that was checked and has not begun. */
export interface PreparedRun {
  readonly traceId: string
  begin(): EngineRun
}

/** What an engine has to do at this moment. */
export interface EngineUsage {
  /** `busy`: how many of its slots are taken. */
  readonly nodes: readonly { readonly node: Node; readonly busy: number }[]
  /** Calls that wait for a slot. */
  readonly waiting: number
}

/** An engine in this process that hosts runs for others. */
export interface HostingEngine {
  /**
   * Checks a run, and throws what `Engine.start` throws, and `CAESURA_E_SESSION_UNKNOWN`. `said`: it is an input of its session, whose turns are kept
   * whatever its pipeline says of a history.
   */
  prepare(
    pipeline: Pipeline,
    options: StartOptions,
    by?: { readonly submittedBy?: string; readonly said?: true },
  ): PreparedRun
  usage(): EngineUsage
  /** Who is at it in each session of this process. A run takes itself out at its end. */
  readonly lines: SessionLines
  /** Where its sessions are kept. */
  readonly sessions: SessionStore
  /** As `Engine.close`. */
  close(): Promise<void>
}

/** What is noted of a run beside its record when a process begins to host it. */
export interface RunNote {
  readonly runId: string
  readonly traceId: string
  readonly pipeline: string
  readonly tenant: string
  /** ms since 1970. */
  readonly submittedAt: number
  readonly submittedBy?: string
  readonly fingerprint?: string
}

/** A run as it is noted. */
export interface NotedRun extends RunNote {
  /** The number of its last event: once it has ended, else when it was last looked at. */
  readonly seq: number
  /** Once it has ended. */
  readonly ended?: RunLine
}

/** A run that had not ended when its process did. */
export interface LostRun extends RunNote {
  /** When it was last seen to go on, ms since 1970. */
  readonly seenAt: number
}

/** Which ended runs to list: those after `before`, newest first. */
export interface EndedFilter {
  readonly pipeline?: string
  readonly tenant?: string
  readonly outcome?: RunRecord['outcome']
  readonly before?: { readonly submittedAt: number; readonly runId: string }
  readonly limit: number
}

/** Notes the runs that a process hosts, beside their records. All of it throws `CAESURA_E_RECORDS`. */
export interface HostedRunStore {
  /** False, and nothing is noted, where a run of this id is noted or recorded. */
  note(run: RunNote): boolean
  /** They go on, and have come so far. */
  seen(runs: readonly { readonly runId: string; readonly seq: number }[], at: number): void
  /** Notes that the run has ended. False, and nothing is noted, where its record is not written. */
  ended(runId: string, seq: number): boolean
  /** Undefined where no host noted it. */
  noted(runId: string): NotedRun | undefined
  /** The trace of a record of exactly this id; undefined where there is none. */
  recordedTrace(runId: string): string | undefined
  listEnded(filter: EndedFilter): NotedRun[]
  /** Those that are noted and have not ended. */
  unended(): LostRun[]
}
