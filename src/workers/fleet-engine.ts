import { randomUUID } from 'node:crypto'
import type { Engine, RunHandle, StartOptions } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import type { FleetAddress, FleetLimits } from '../core/fleet.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Telemetry } from '../core/ports.ts'
import type { RunRecord } from '../core/record.ts'
import { newTraceId } from '../core/trace.ts'
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
  let closed = false

  function start(pipeline: Pipeline, { signal, ...options }: StartOptions): RunHandle {
    if (closed) throw new CaesuraError('CAESURA_E_USAGE', 'this engine is closed: it starts no runs any more')
    const { runId = randomUUID() } = options
    const trace = telemetry?.begin(options.trace) ?? options.trace ?? { traceId: newTraceId() }
    const submitted = opened.then(async (client) => {
      await client.submit(pipeline, { ...options, runId, trace, models })
      return client
    })
    const cancel = (reason?: string) => {
      const order = submitted
        .then((client) => client.cancel(runId, reason))
        .catch(() => undefined)
        .finally(() => cancelling.get(runId) === order && cancelling.delete(runId))
      cancelling.set(runId, order)
    }
    const cancelBySignal = () =>
      cancel(String(signal?.reason instanceof Error ? signal.reason.message : signal?.reason))
    if (signal?.aborted) cancelBySignal()
    else signal?.addEventListener('abort', cancelBySignal, { once: true })
    async function* eventsAfter(seq: number): AsyncGenerator<RunEvent, void, undefined> {
      yield* (await submitted).events(runId, seq)
    }
    async function end(): Promise<RunRecord> {
      try {
        const client = await submitted
        await client.ended(runId)
        const { record } = await client.read(runId)
        if (record === undefined) {
          throw new CaesuraError('CAESURA_E_STATE', `the run ${runId} was put aside: its state could not be read`)
        }
        keep?.(record, pipeline)
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
      traceId: trace.traceId,
      events: { [Symbol.asyncIterator]: () => eventsAfter(0) },
      eventsAfter,
      interrupt: async (asked) => (await submitted).interrupt(runId, asked),
      cancel,
      result,
    }
    running.set(handle, reject)
    return handle
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

  const session = (): never => {
    throw new CaesuraError('CAESURA_E_USAGE', 'an engine on a fleet opens no sessions yet')
  }
  return { start, session, close, [Symbol.asyncDispose]: close }
}

/** How long closing may take, ms. */
const CLOSING_MS = 5000

const notEnded = (message: string): CaesuraError =>
  new CaesuraError('CAESURA_E_REDIS', message, {
    hint: 'See `caesura runs --redis`, and end it with `caesura cancel`.',
  })
