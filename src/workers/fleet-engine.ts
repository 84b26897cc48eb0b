import { randomUUID } from 'node:crypto'
import type { Became, Engine, RunHandle, Said, Session, StartOptions } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import type { FleetAddress, FleetLimits, TurnOptions, TurnTaken } from '../core/fleet.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Telemetry } from '../core/ports.ts'
import type { RunRecord } from '../core/record.ts'
import { type KeptSession, unknownSession } from '../core/session.ts'
import { newTraceId, type TraceContext } from '../core/trace.ts'
import type { FleetClient } from './fleet-client.ts'
import { within } from './within.ts'

export interface FleetEngineSettings {
  readonly redis: FleetAddress
  /** What the fleet takes at most. */
  readonly limits?: FleetLimits
  /** Alias → the model's name as the servers know it. */
  readonly models?: Readonly<Record<string, string>>
  /** Called with the record of each run that ended, and the pipeline that it was started with. */
  keep?(record: RunRecord, pipeline: Pipeline): void
  /** How long `close` waits for its runs to end, ms; 5000 by default. */
  readonly closeWithinMs?: number
  /** Decides here whether the spans of a run are sent; its workers send them. */
  readonly telemetry?: Telemetry
}

/**
 * An engine whose runs are hosted by the workers of a fleet: a run goes on when this process ends without `close`. What fails on
 * the way to Redis (`CAESURA_E_REDIS`) rejects `result`, `events` and `interrupt`.
 */
export function fleetEngine(settings: FleetEngineSettings): Engine {
  const { redis, limits, models = {}, keep, telemetry, closeWithinMs = CLOSING_MS } = settings
  // BullMQ takes a tenth of a second to load: only who has a fleet pays for it.
  const opened = import('./fleet-client.ts').then(({ FleetClient }) => FleetClient.open(redis, limits))
  opened.catch(() => undefined)
  /** With what makes a run's `result` reject. */
  const running = new Map<RunHandle, (error: CaesuraError) => void>()
  /** Orders to end that Redis has not taken yet, by run. */
  const cancelling = new Map<string, Promise<unknown>>()
  /** Whose records were kept, the newest of them. */
  const kept = new Set<string>()
  let closed = false

  function start(pipeline: Pipeline, options: StartOptions): RunHandle {
    const { runId = randomUUID() } = options
    const trace = traceOf(options)
    const { signal, ...asked } = options
    const submitted = opened.then(async (client): Promise<Placed> => {
      await client.submit(pipeline, { ...asked, runId, trace, models })
      return { client, runId }
    })
    return follow(pipeline, { runId, traceId: trace.traceId, submitted, ...(signal !== undefined && { signal }) })
  }

  /** Says something in a session. The handle is of the run that it is a part of, once the fleet has told which. */
  function say(pipeline: Pipeline, { signal, ...options }: Omit<TurnOptions, 'trace'> & StartOptions): Said {
    const runId = randomUUID()
    const trace = traceOf(options)
    const taken = opened.then((client) => client.say(pipeline, { ...options, runId, trace, models }))
    const submitted = Promise.all([opened, taken]).then(([client, { runId: its }]): Placed => ({ client, runId: its }))
    const of = { traceId: trace.traceId, ...(signal !== undefined && { signal }) }
    const handle = follow(pipeline, { runId, submitted, ...of })
    const placed = Promise.all([submitted, taken])
    const became = placed.then(([{ client }, said]) => becameOf(client, said))
    const answeredIn = Promise.all([became, submitted]).then(([what, { client }]): RunHandle => {
      if (what.kind !== 'signal' || what.isSeen) return handle
      return follow(pipeline, { runId, submitted: Promise.resolve({ client, runId }), ...of })
    })
    for (const promise of [became, answeredIn]) promise.catch(() => undefined)
    return { ...handle, became, answeredIn }
  }

  function session(pipeline: Pipeline, id: string, given: SessionOptions = {}): Session {
    const { tenant = '' } = given
    async function look(): Promise<{ client: FleetClient; kept: KeptSession | undefined }> {
      const client = await opened
      const kept = await client.session(id)
      if (kept !== undefined && kept.tenant !== tenant) throw unknownSession(id)
      return { client, kept }
    }
    return {
      id,
      say: (input, { vars, tags, ...options } = {}) =>
        say(pipeline, {
          ...given,
          ...options,
          vars: { ...given.vars, ...vars },
          ...((given.tags ?? tags) !== undefined && { tags: { ...given.tags, ...tags } }),
          ...{ input, session: id },
        }),
      turns: async () => (await look()).kept?.turns ?? [],
      delete: async () => (await look()).client.deleteSession(id, tenant),
    }
  }

  function traceOf({ trace }: Pick<StartOptions, 'trace'>): TraceContext {
    if (closed) throw new CaesuraError('CAESURA_E_USAGE', 'this engine is closed: it starts no runs any more')
    return telemetry?.begin(trace) ?? trace ?? { traceId: newTraceId() }
  }

  /** The handle of a run that is submitted, or is on its way. */
  function follow(pipeline: Pipeline, { runId, traceId, submitted, signal }: Followed): RunHandle {
    const cancel = (reason?: string) => {
      const order = submitted
        .then((run) => run.client.cancel(run.runId, reason))
        .catch(() => undefined)
        .finally(() => cancelling.get(runId) === order && cancelling.delete(runId))
      cancelling.set(runId, order)
    }
    const cancelBySignal = () =>
      cancel(String(signal?.reason instanceof Error ? signal.reason.message : signal?.reason))
    if (signal?.aborted) cancelBySignal()
    else signal?.addEventListener('abort', cancelBySignal, { once: true })
    async function* eventsAfter(seq: number): AsyncGenerator<RunEvent, void, undefined> {
      const run = await submitted
      yield* run.client.events(run.runId, seq)
    }
    async function end(): Promise<RunRecord> {
      try {
        const run = await submitted
        await run.client.ended(run.runId)
        const { record } = await run.client.read(run.runId)
        if (record === undefined) {
          throw new CaesuraError('CAESURA_E_STATE', `the run ${run.runId} was put aside: its state could not be read`)
        }
        keepOnce(record, pipeline)
        return record
      } finally {
        running.delete(handle)
        signal?.removeEventListener('abort', cancelBySignal)
      }
    }
    const { promise: result, resolve, reject } = Promise.withResolvers<RunRecord>()
    end().then(resolve, reject)
    result.catch(() => undefined)
    const handle: RunHandle = {
      runId,
      traceId,
      events: { [Symbol.asyncIterator]: () => eventsAfter(0) },
      eventsAfter,
      interrupt: async (asked) => submitted.then((run) => run.client.interrupt(run.runId, asked)),
      heard: async (acknowledgement) => submitted.then((run) => run.client.heard(run.runId, acknowledgement)),
      cancel,
      result,
    }
    running.set(handle, reject)
    return handle
  }

  /** Several inputs of a session may have been parts of one run. */
  function keepOnce(record: RunRecord, pipeline: Pipeline): void {
    if (kept.has(record.runId)) return
    kept.add(record.runId)
    for (const oldest of kept) {
      if (kept.size <= MOST_KEPT) break
      kept.delete(oldest)
    }
    keep?.(record, pipeline)
  }

  /** Ends in bounded time. Throws `CAESURA_E_REDIS` where a run could not be told to end. */
  async function close(): Promise<void> {
    closed = true
    for (const run of running.keys()) run.cancel('the engine is closing')
    await within(closeWithinMs, () => Promise.allSettled([...running.keys()].map((run) => run.result)))
    const untold = [...running.keys()].map(({ runId }) => runId).filter((runId) => cancelling.has(runId))
    for (const reject of running.values())
      reject(notEnded('the engine was closed before the end of the run was heard of'))
    await within(CLOSING_MS, () => opened.then((client) => client.close()))
    if (untold.length > 0) throw notEnded(`Redis has not taken the order to end of ${untold.join(', ')}`)
  }

  return { start, session, close, [Symbol.asyncDispose]: close }
}

/** A run on the fleet. */
interface Placed {
  readonly client: FleetClient
  readonly runId: string
}

interface Followed {
  /** The one that was asked for. */
  readonly runId: string
  readonly traceId: string
  readonly submitted: Promise<Placed>
  readonly signal?: AbortSignal
}

type SessionOptions = Pick<StartOptions, 'vars' | 'tags' | 'tenant'>

/** What became of an input. Whether a visit of the live run saw it is certain once that run has ended: else its own run is there. */
async function becameOf(client: FleetClient, taken: TurnTaken): Promise<Became> {
  if (taken.became !== 'signal') return { kind: taken.became }
  const answer = await taken.answer
  await client.ended(taken.runId)
  const isSeen = await client.look(taken.ownRunId).then(
    () => false,
    (error: unknown) => {
      if (error instanceof CaesuraError && error.code === 'CAESURA_E_RUN_UNKNOWN') return true
      throw error
    },
  )
  return { kind: 'signal', answer, isSeen }
}

const MOST_KEPT = 10_000

/** How long closing may take, ms. */
const CLOSING_MS = 5000

const notEnded = (message: string): CaesuraError =>
  new CaesuraError('CAESURA_E_REDIS', message, {
    hint: 'See `caesura runs --redis`, and end it with `caesura cancel`.',
  })
