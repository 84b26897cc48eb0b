import { randomUUID } from 'node:crypto'
import { assign } from '../core/assignment.ts'
import { checkedHandle, readSay, readSession, readStart } from '../core/caller-input.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { Engine, PlannedSignal, RunHandle, Session, StartOptions } from '../core/engine.ts'
import { toldWholly } from '../core/error-text.ts'
import { CaesuraError, CaesuraErrors } from '../core/errors.ts'
import { defaultPriors, Estimates, type Priors } from '../core/estimates.ts'
import type { FleetAddress, FleetLimits } from '../core/fleet.ts'
import type { EngineRun, HostingEngine } from '../core/hosting.ts'
import { checkNodes } from '../core/node-check.ts'
import type { OutputLimits } from '../core/output-limit.ts'
import { type Pipeline, withPace } from '../core/pipeline.ts'
import { placementCheck } from '../core/placement.ts'
import type { Node, RunStore, Telemetry } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { priorsOf } from '../core/probe.ts'
import type { RunRecord } from '../core/record.ts'
import { REDIS_URL, readRedisUrl } from '../core/redis-address.ts'
import { storedConversation } from '../core/run-conversation.ts'
import { type SessionName, type SessionStore, unknownSession } from '../core/session.ts'
import { SessionLines } from '../core/session-lines.ts'
import { newTraceId } from '../core/trace.ts'
import type { Turn } from '../core/turn.ts'
import { within } from '../core/within.ts'
import { recordKeeper } from '../lab/design/live-design.ts'
import { aliasesOf, composeRun, type HostParts, type RunOrder } from '../machines/host.ts'
import { inProcessExecutor } from '../nodes/in-process.ts'
import { definePipelineWith } from '../pipelines/pipeline-schema.ts'
import { checkCatalogue, checkPolicies } from '../policies/reading/catalogue-check.ts'
import { memorySessions, type SessionLimits } from '../records/stores/memory-sessions.ts'
import { fleetEngine } from '../workers/fleet-engine.ts'
import { catalogue } from './catalogue.ts'
import { openSession } from './conversations.ts'
import type { OwnPipelineInput, PipelineInput } from './pipeline-input.ts'
import { activeTrace, joinProgramTraces } from './tracing.ts'

export { catalogue }

/** What an engine works with. */
export interface EngineSettings {
  /** The nodes that take calls, in this process. At least one. */
  readonly nodes: readonly Node[]
  /** Alias → the model's name as the servers know it. A name that is no alias is used as it is. */
  readonly models?: Readonly<Record<string, string>>
  /** Where records of finished runs go; none by default. */
  readonly store?: RunStore
  /** Where the turns of sessions are kept: by default in the file of `store`, else in memory, bounded (`sessionLimits`). */
  readonly sessions?: SessionStore
  /** Of sessions in memory: how long they are kept after their last turn, 7 days by default, and how many, 10,000. */
  readonly sessionLimits?: Partial<SessionLimits>
  /** Keeps the text of inputs and outputs in the stored records; false by default. The record that `result` gives always has it. */
  readonly keepText?: boolean
  /** The policies that pipelines may name; the one that pipelines were checked against. All that ship by default. */
  readonly catalogue?: Catalogue
  /** How much one run may generate; a call that goes beyond it fails with `CAESURA_E_OUTPUT_LIMIT`. 1,000,000 tokens or 64 Mi characters by default. */
  readonly outputLimits?: Partial<OutputLimits>
  /** Real time by default. */
  readonly clock?: Clock
  /** Numbers from 0 to below 1, for the pauses before retries; `Math.random` by default. */
  readonly random?: () => number
  /** Makes spans and figures of the runs; none by default. The engine does not close it. */
  readonly telemetry?: Telemetry | undefined
  /**
   * How long `close` waits for calls that it has told to stop, and then for backends to close, ms of real time each; 5000 by default. A
   * backend that takes longer is named in a `CAESURA_E_BACKEND` that `close` rejects with, when all else is closed.
   */
  readonly closeWithinMs?: number
  readonly redis?: never
}

const CLOSING_MS = 5000
const CLOSING = 'the engine is closing'

/** What an engine works with whose runs are hosted by the workers of a fleet. */
export interface FleetEngineSettings extends Pick<EngineSettings, 'models' | 'store' | 'keepText' | 'telemetry'> {
  /** The fleet's Redis: `redis://host:port`, or another address of `docs/fleet.md`. */
  readonly redis: string | FleetAddress
  /** What the fleet takes at most: beyond it a run's `result` rejects with `CAESURA_E_FLEET_FULL`. */
  readonly limits?: FleetLimits
  /**
   * How long `close` waits for the runs that it has told to end, ms; 5000 by default. The `result` of a run that takes longer rejects with
   * `CAESURA_E_REDIS`, and so does `close` where Redis has not taken the order.
   */
  readonly closeWithinMs?: number
  readonly nodes?: never
}

/** What a pipeline is checked against. */
export interface PipelineSettings {
  /** The policies that it may name; those that ship by default. The engine that runs it must have the same one. */
  readonly catalogue?: Catalogue | undefined
}

/**
 * Checks a pipeline and fills its defaults in. Throws `CaesuraErrors` with every problem (`CAESURA_E_PIPELINE`, `CAESURA_E_TEMPLATE`, …), and
 * `CAESURA_E_CONFIG` for a catalogue that is none. The message of what it throws has the place, what was received, what is allowed and a hint.
 */
export function definePipeline<Id extends string>(
  value: PipelineInput<Id>,
  settings?: { readonly catalogue?: undefined },
): Pipeline
/** With policies of a catalogue of one's own; their names are checked when it runs. */
export function definePipeline(value: OwnPipelineInput, settings: PipelineSettings): Pipeline
export function definePipeline(value: unknown, settings: PipelineSettings = {}): Pipeline {
  const policies = checkCatalogue(settings.catalogue ?? catalogue)
  try {
    return definePipelineWith(policies, value)
  } catch (error) {
    throw toldWholly(error, definePipeline)
  }
}

/**
 * An engine that runs pipelines in this process, on `nodes`; or on a fleet, whose workers host the runs: those go on when this
 * process ends without `close`. Throws `CAESURA_E_CONFIG` without a node, with a name twice, for an address of no Redis. A Redis that
 * cannot be used rejects a run's `result`, `events` and `interrupt` with `CAESURA_E_REDIS`.
 */
export const createEngine = (settings: EngineSettings | FleetEngineSettings): Engine =>
  settings.redis === undefined ? inThisProcess(settings) : onFleet(settings)

function onFleet(settings: FleetEngineSettings): Engine {
  const { redis, limits = {}, models = {}, store, keepText = false, nodes, telemetry, closeWithinMs } = settings
  const address = typeof redis === 'string' ? { url: redis } : redis
  if (nodes !== undefined)
    throw new CaesuraError(
      'CAESURA_E_CONFIG',
      'an engine has nodes or a Redis: the nodes of a fleet are its workers’',
      {
        path: 'nodes',
      },
    )
  if (readRedisUrl(address.url) === undefined)
    throw new CaesuraError('CAESURA_E_CONFIG', 'redis is no address of a Redis', {
      path: 'redis',
      expected: REDIS_URL,
    })
  checkLimits(limits)
  const write = store && recordKeeper(store, { isShared: true })
  const keep = (record: RunRecord, pipeline: Pipeline) => write?.(keepText ? record : withoutText(record), pipeline)
  const engine = fleetEngine({
    ...{ redis: address, limits, models, keep },
    ...(telemetry !== undefined && { telemetry }),
    ...(closeWithinMs !== undefined && { closeWithinMs }),
  })
  async function close(): Promise<void> {
    await engine.close().finally(() => store?.close())
  }
  function start(asked: Pipeline, given: StartOptions): RunHandle {
    const { pipeline, options } = readStart(asked, given)
    const trace = options.trace ?? activeTrace()
    return checkedHandle(engine.start(pipeline, { ...options, ...(trace !== undefined && { trace }) }))
  }
  function session(asked: Pipeline, id: string, given?: Parameters<Engine['session']>[2]): Session {
    const { pipeline, options } = readSession(asked, id, given)
    const opened = engine.session(pipeline, id, options)
    return {
      ...opened,
      say(said, more) {
        const { input, options: own } = readSay(said, more)
        const trace = own.trace ?? activeTrace()
        return checkedHandle(opened.say(input, { ...own, ...present({ trace }) }))
      },
    }
  }
  return { start, session, close, [Symbol.asyncDispose]: close }
}

function inThisProcess(settings: EngineSettings): Engine {
  const engine = hostingEngine(settings)
  const { prepare, close } = engine
  return {
    start: (pipeline, options) => prepare(pipeline, options).begin(),
    session: (pipeline, id, options) => openSession(engine, pipeline, id, options),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** An engine in this process for a host, that begins runs later than it checks them. Throws as `createEngine` does. */
export function hostingEngine(settings: EngineSettings): HostingEngine {
  const { nodes, models = {}, store, keepText = false, clock = systemClock, random = Math.random, telemetry } = settings
  const { closeWithinMs = CLOSING_MS } = settings
  checkNodes(nodes)
  const policies = checkCatalogue(settings.catalogue ?? catalogue)
  joinProgramTraces()
  const executor = inProcessExecutor(nodes)
  const resolveModel = aliasesOf(models)
  const names = new Set(nodes.map(({ name }) => name))
  const checkPlacement = placementCheck([...names])
  const host: HostParts = {
    ...{ clock, random, catalogue: policies, outputLimits: settings.outputLimits, nodeNames: () => names },
    estimates: new Estimates((model, node) => priors(store, model, node)),
    // So that its spans are the same ones, whoever sends them again.
    ...(telemetry !== undefined && { process: () => telemetry.process }),
  }
  const write = store && recordKeeper(store)
  const sessions = settings.sessions ?? store?.sessions ?? memorySessions(settings.sessionLimits)
  const lines = new SessionLines()
  const running = new Set<RunHandle>()
  let closed = false

  const prepare: HostingEngine['prepare'] = (wanted, given, { submittedBy, said } = {}) => {
    if (closed) throw new CaesuraError('CAESURA_E_USAGE', 'this engine is closed: it starts no runs any more')
    const { pipeline: asked, options } = readStart(wanted, given)
    checkPlacement(asked)
    checkPolicies(policies, asked)
    const runId = options.runId ?? randomUUID()
    const { pipeline, experiment } = assign(withPace(asked, options.pace), { ...options, runId })
    const wantedTrace = options.trace ?? activeTrace()
    const trace = telemetry?.begin(wantedTrace) ?? wantedTrace ?? { traceId: newTraceId() }
    const { session, tenant = '', tags } = options
    const keepsTurns = session !== undefined && (said || pipeline.history !== undefined)
    // A session of somebody else is refused here, before anything begins.
    if (keepsTurns && (sessions.tenant(session) ?? tenant) !== tenant) throw unknownSession(session)
    const order: RunOrder = {
      ...{ runId, trace, pipeline, input: options.input, vars: options.vars ?? {}, resolveModel, tenant },
      ...present({ session, tags }),
      ...(experiment !== undefined && { experiment }),
      ...(submittedBy !== undefined && { submittedBy }),
      planned: options.signals?.length ? new Set(options.signals) : noSignals,
    }
    return {
      traceId: trace.traceId,
      begin: () =>
        keepsTurns ? beginTurn(order, { id: session, tenant }, options.signal) : begin(order, options.signal),
    }
  }

  /** Throws `CAESURA_E_SESSION_UNKNOWN`, `CAESURA_E_RECORDS`. */
  function turnsBefore({ id, tenant }: SessionName): readonly Turn[] {
    const kept = sessions.read(id)
    if (kept !== undefined && kept.tenant !== tenant) throw unknownSession(id)
    return kept?.turns ?? []
  }

  /** Begins a run whose turns its session keeps. */
  function beginTurn(order: RunOrder, session: SessionName, cancelSignal?: AbortSignal): EngineRun {
    const { runId } = order
    const before = turnsBefore(session)
    const seen = (own: readonly string[]) => lines.seen(session.id, own)
    const conversation = storedConversation(sessions, session, { runId, before, seen })
    const run = begin({ ...order, conversation }, cancelSignal, () => conversation.flush())
    const { say, cancel } = run
    lines.join(session.id, { runId, say, cancel, handle: run, begin() {}, seen() {}, drop() {} })
    const left = () => lines.ended(session.id, runId)
    run.result.then(left, left)
    return run
  }

  function begin(order: RunOrder, cancelSignal?: AbortSignal, flush?: () => void): EngineRun {
    const { journal, start } = composeRun(host, order)
    const handle = start(executor, cancelSignal)
    const result = handle.result.then((record) => {
      running.delete(stored)
      telemetry?.runEnded(record)
      flush?.()
      write?.(keepText ? record : withoutText(record), order.pipeline)
      return record
    })
    // Who does not wait for the record is not stopped by a store that fails; who does, hears of it.
    result.catch(() => undefined)
    const stored = checkedHandle({ ...handle, result, log: journal.log })
    running.add(stored)
    if (closed) stored.cancel(CLOSING)
    return stored
  }

  async function close(): Promise<void> {
    closed = true
    // What waits for its session begins so that it can end: its input is a turn then.
    for (const run of lines.drain()) run.begin()
    for (const run of running) run.cancel(CLOSING)
    const ended = () => Promise.allSettled([...running].map((run) => run.result))
    const faults: unknown[] = []
    if (!(await within(closeWithinMs, ended()))) {
      faults.push(...executor.abandon(closeWithinMs))
      await ended()
    }
    faults.push(...(await executor.closeWithin(closeWithinMs)))
    store?.close()
    if (faults.length > 0) throw faults.length === 1 ? faults[0] : new CaesuraErrors(faults.map(asCaesuraError))
  }

  return { prepare, usage: () => executor.usage(), lines, sessions, close }
}

const asCaesuraError = (error: unknown): CaesuraError =>
  error instanceof CaesuraError
    ? error
    : new CaesuraError('CAESURA_E_BACKEND', `a backend has thrown while it was closed: ${String(error)}`, {
        cause: error,
      })

/** Of most runs; one for all, for an empty set takes 0.2 kB of each. Nothing is ever added to the planned signals of a run. */
const noSignals: Set<PlannedSignal> = new Set()

/** Throws `CAESURA_E_CONFIG`. */
function checkLimits({ maxWaiting = 1, memoryShare = 1 }: FleetLimits): void {
  const refuse = (name: string, received: number, expected: string) =>
    new CaesuraError('CAESURA_E_CONFIG', `limits.${name} is no bound`, {
      path: `limits.${name}`,
      received: String(received),
      expected,
    })
  if (!Number.isInteger(maxWaiting) || maxWaiting < 1)
    throw refuse('maxWaiting', maxWaiting, 'a whole number, 1 or more')
  if (!(memoryShare > 0 && memoryShare <= 1)) throw refuse('memoryShare', memoryShare, 'a number above 0, at most 1')
}

/** A record without what people wrote and models answered. What a fault received may be either. */
export function withoutText({ output: _, input: __, unusedSignals, ...record }: RunRecord): RunRecord {
  const told = <T extends { readonly error?: RunRecord['error'] }>(of: T): T =>
    of.error?.received === undefined ? of : { ...of, error: { code: of.error.code, message: of.error.message } }
  return {
    ...told(record),
    stages: record.stages.map(({ text: _, messages: __, thinking: ___, value: ____, toolCalls, ...stage }) =>
      told({
        ...stage,
        ...(toolCalls && { toolCalls: toolCalls.map(({ arguments: _, ...named }) => named) }),
      }),
    ),
    interrupts: record.interrupts.map(({ input: _, ...interrupt }) => interrupt),
    ...(unusedSignals && { unusedSignals: unusedSignals.map(({ input: _, ...signal }) => signal) }),
  }
}

/** What a probe of this node found; the stated priors where there was none, or where it observed nothing. */
function priors(store: RunStore | undefined, model: string, node: string): Priors {
  const result = store?.findProbe(node, model)
  if (result === undefined) return defaultPriors
  const { firstTokenMs, msPerToken, abortLagMs } = priorsOf(result)
  return {
    ...defaultPriors,
    ...(firstTokenMs !== undefined && { firstTokenMs }),
    ...(msPerToken !== undefined && { msPerToken }),
    ...(abortLagMs.decode !== undefined && { abortLagMs: abortLagMs.decode }),
    source: 'probe',
  }
}
