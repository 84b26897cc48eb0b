import type { CallEnd, CallObserver, CallRequest, GenerateContext, NodeWish, PrefillRequest } from './call.ts'
import type { Clock } from './clock.ts'
import type { Conductor } from './conductor.ts'
import type { ProbeKey, ProbeResult } from './probe.ts'
import type { ProcessRecord, RunRecord } from './record.ts'
import type { SessionStore } from './session.ts'
import type { TraceContext } from './trace.ts'
import type { Execution, Trial } from './trial.ts'

/** A model that a server has. */
export interface ModelInfo {
  readonly name: string
  readonly bytes?: number
}

/** What a server says of itself. */
export interface ServerInfo {
  /** Such as `ollama`, `llama-cpp`, `scripted`. */
  readonly kind: string
  readonly version?: string
  /** Where it is: a URL, or a file for an engine in this process. */
  readonly address?: string
}

/** A model server. One file each in `nodes/backends/`, all held to `test/conformance/backend.ts`. */
export interface Backend {
  readonly kind: string
  /** Host and port, or a file: for errors, spans and `doctor`. */
  readonly address?: string
  /**
   * Generates one answer. Never rejects. Resolves when nothing of the call is left here: after an abort, when the
   * connection is seen closed (or the sequence is free). An aborted signal ends it in every phase, before the first byte too.
   */
  generate(request: CallRequest, context: GenerateContext): Promise<CallEnd>
  /** Whether the server is there. Throws `CAESURA_E_NO_SERVER`, `CAESURA_E_NO_BACKEND`. */
  server(signal: AbortSignal): Promise<ServerInfo>
  /** It takes calls for any model, whatever `models` lists. */
  readonly takesAnyModel?: boolean
  /** The models it can run now. Throws as `server` does. */
  models(signal: AbortSignal): Promise<readonly ModelInfo[]>
  /** What to type to get a model that is missing; absent when there is no such command. */
  pullCommand?(model: string): string
  /** Brings the model into memory. Throws. */
  load?(model: string, signal: AbortSignal): Promise<void>
  /**
   * Takes the model out of memory when the calls under way have ended, and resolves when it is gone; a model that is not
   * loaded is gone already. The next call loads it again. Throws; the signal ends the wait.
   */
  unload?(model: string, signal: AbortSignal): Promise<void>
  /** Reads the beginning of a prompt into the server's prefix cache, and generates nothing that counts. Throws; the signal ends it. */
  prefill?(request: PrefillRequest, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** A model server with a name and the number of calls that it works on at once. */
export interface Node {
  readonly name: string
  readonly backend: Backend
  /** Calls at once; 1 by default. */
  readonly slots: number
  /** The group of nodes it belongs to; `default` by default. */
  readonly pool: string
  /** The models that it takes calls for; absent: any. */
  readonly models?: readonly string[]
}

/** Where a call is made. */
export interface CallPlace {
  /** Of the node. */
  readonly name: string
  readonly backend: string
  readonly address?: string
  /** The stage worker; absent where the call is made in the run's own process. */
  readonly process?: ProcessRecord
}

/** How busy some nodes are. */
export interface NodeLoad {
  /** Slots that are taken. */
  readonly busySlots: number
  readonly slots: number
  /** Calls that wait for a slot. */
  readonly waiting: number
}

/** What the executor tells of a call beside what the backend tells. */
export interface ExecutionObserver extends CallObserver {
  /** A slot of this node is ours; the call is about to be sent. */
  placed(place: CallPlace): void
  /** How busy the nodes are that may take the call, as it is handed to them; not told where nobody can say it at once. */
  load?(load: NodeLoad): void
}

/** What became of what was to be done ahead for a call. */
export interface WarmOutcome {
  readonly outcome: 'loaded' | 'prefilled' | 'skipped' | 'failed'
  /** Where; absent when it was skipped before a node was chosen. */
  readonly node?: string
  readonly reason?: string
}

/** Runs calls somewhere: in this process, or on workers over a queue. */
export interface Executor {
  /** Queues the call, waits for a slot, runs it. Never rejects. A slot is free again before the promise resolves. */
  execute(
    request: CallRequest,
    context: { clock: Clock; signal: AbortSignal; observer: ExecutionObserver },
  ): Promise<CallEnd>
  /** Loads a model ahead on a node that may take the call to come and has a free slot, without taking it; else skips it. Never rejects. */
  load(wish: NodeWish): Promise<WarmOutcome>
  /**
   * Has the beginning of a call to come read ahead, as `load` chooses its node. Given up as soon as a call is sent to that
   * node, or the signal is aborted. Never rejects.
   */
  prefill(wish: NodeWish, request: PrefillRequest, signal: AbortSignal): Promise<WarmOutcome>
  close(): Promise<void>
}

/** Makes spans and figures of runs. Never throws, and never keeps a run waiting. */
export interface Telemetry {
  /** This process, as its spans name it. */
  readonly process: ProcessRecord
  /**
   * The trace of a run to come: that of `parent` where one asked for the run, else a new one. Decides whether its spans are sent (head
   * sampling), where the parent has not.
   */
  begin(parent?: TraceContext): TraceContext
  /** A run has ended: this is all that is known of it. `sent`: called when its spans have arrived, where they were to be sent. */
  runEnded(record: RunRecord, sent?: () => void): void
  /** Sends the spans of a run whose end another process was told of, and counts it in no figures. */
  sendAgain(record: RunRecord, sent?: () => void): void
  /** Sends what waits, within a bounded time, and ends. */
  close(): Promise<void>
}

/** A request from outside, with its headers as Node has them. */
export interface IncomingRequest {
  readonly method: string
  /** Of the route, without what differs from request to request. */
  readonly route: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Whether it has a span only where its caller traces; false by default. */
  readonly joinsOnly?: boolean
}

/** A request from outside as a part of its caller's trace. */
export interface RequestTrace {
  /** For what is done for it: below the request's own span, where that is sent. */
  readonly trace?: TraceContext
  /** It was answered: its span may be sent. */
  end(answer: {
    readonly status: number
    /** What happened meanwhile, ms since 1970 with fractions. */
    readonly marks?: readonly { readonly name: string; readonly unixMs: number }[]
  }): void
}

/** The start of a run's record, for lists. */
export interface RunSummary {
  readonly runId: string
  readonly pipeline: string
  readonly outcome: RunRecord['outcome']
  readonly startedAt: string
  readonly durationMs: number
  readonly interrupts: number
  /** Of the first interrupt that has one, ms. */
  readonly toFirstTokenMs?: number
  readonly wastedTokens: number
}

/** Keeps the records of finished runs, and what probes found out about nodes. */
export interface RunStore {
  /** Keeps the turns of sessions; absent where it keeps none. */
  readonly sessions?: SessionStore
  /** Writes a finished run, whole or not at all. Throws `CAESURA_E_RECORDS`. */
  write(record: RunRecord): void
  /** By id, by a prefix that only one run has, or `last`: the newest that is no trial of an experiment. Throws `CAESURA_E_RUN_UNKNOWN`. */
  read(run: string): RunRecord
  /** Newest first. `trials: false` leaves out the runs that experiments made; those on live traffic stay. */
  list(filter?: { limit?: number; pipeline?: string; trials?: boolean }): RunSummary[]
  /** Adds a probe to those of its node, address and model. Throws `CAESURA_E_RECORDS`. */
  writeProbe(result: ProbeResult): void
  /** The newest probe of a node, its address and model; undefined when there is none. Throws `CAESURA_E_RECORDS`. */
  readProbe(key: ProbeKey): ProbeResult | undefined
  /**
   * The newest probe of a node and model, for a reader who does not know the address; undefined when there is none, or when
   * probes of several addresses are kept, because then it is not known which server a record speaks of.
   */
  findProbe(node: string, model: string): ProbeResult | undefined
  close(): void
}

/** Which trials of an experiment: of one execution, or without it those of live traffic. */
export interface TrialFilter {
  readonly experiment: string
  readonly execution?: string
}

/** An experiment of which something is kept. */
export interface ExperimentSummary {
  readonly experiment: string
  /** Absent for one on live traffic. */
  readonly execution?: string
  readonly startedAt: string
  /** As `Execution.ended`; absent for one on live traffic. */
  readonly ended?: Execution['ended']
  /** Runs that are recorded, warm-ups included. */
  readonly trials: number
  /** Who makes its trials, or did when it was killed. */
  readonly conductor?: Conductor
}

/** Which execution of which experiment. */
export type ExecutionKey = Pick<Execution, 'experiment' | 'execution'>

/** Reads the trials of experiments, which are written as runs with `RunStore.write`, and keeps what their executions were to do. */
export interface ExperimentStore {
  /**
   * In the order of their sessions' names, then by start, then by run: the same for the same records, whatever order they were
   * written in. One at a time: a million do not fit into memory as objects. Throws `CAESURA_E_RECORDS`.
   */
  trials(of: TrialFilter): IterableIterator<Trial>
  /**
   * Adds an execution, or takes the place of what was kept of it. `owner`: only as its conductor, else `CAESURA_E_EXPERIMENT_LOST`.
   * Throws `CAESURA_E_RECORDS`.
   */
  writeExecution(execution: Execution, owner?: string): void
  /** Writes a run as `RunStore.write` does, but only as the conductor of its execution. Throws `CAESURA_E_EXPERIMENT_LOST`. */
  writeAs(owner: string, record: RunRecord): void
  /** Makes somebody the conductor of an execution. Where there is one that is not gone nothing changes, and that one is returned. */
  claim(of: ExecutionKey, conductor: Conductor, isGone: (other: Conductor) => boolean): Conductor | undefined
  /** Who conducts an execution; undefined where nobody does. It may have died meanwhile. */
  conductor(of: ExecutionKey): Conductor | undefined
  /** Notes that a conductor lives. False where it is one no more. */
  beat(owner: string): boolean
  /** The execution has no conductor any more. Does nothing where it has another one by now. */
  release(owner: string): void
  /**
   * The execution of this id, or without one the newest of the experiment; undefined when there is none. That of the empty id is what
   * an experiment on live traffic is (`lab/design/live-design.ts`).
   */
  readExecution(experiment: string, execution?: string): Execution | undefined
  /** Newest first: executions, and experiments on live traffic by their first run. */
  experiments(): ExperimentSummary[]
}
