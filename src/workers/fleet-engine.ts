import { randomUUID } from 'node:crypto'
import type { Engine, RunHandle, StartOptions } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import type { FleetAddress, FleetLimits } from '../core/fleet.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Telemetry } from '../core/ports.ts'
import type { RunRecord } from '../core/record.ts'
import { newTraceId } from '../core/trace.ts'

export interface FleetEngineSettings {
  readonly redis: FleetAddress
  /** What the fleet takes at most. */
  readonly limits?: FleetLimits
  /** Alias → the model's name as the servers know it. */
  readonly models?: Readonly<Record<string, string>>
  /** Called with the record of each run that ended, and the pipeline that it was started with. */
  keep?(record: RunRecord, pipeline: Pipeline): void
  /** Decides here whether the spans of a run are sent; its workers send them. */
  readonly telemetry?: Telemetry
}

/**
 * An engine whose runs are hosted by the workers of a fleet: a run goes on when this process ends without `close`. What fails on
 * the way to Redis (`CAESURA_E_REDIS`) rejects `result`, `events` and `interrupt`.
 */
export function fleetEngine({ redis, limits, models = {}, keep, telemetry }: FleetEngineSettings): Engine {
  // BullMQ takes a tenth of a second to load: only who has a fleet pays for it.
  const opened = import('./fleet-client.ts').then(({ FleetClient }) => FleetClient.open(redis, limits))
  opened.catch(() => undefined)
  const running = new Set<RunHandle>()
  let closed = false

  function start(pipeline: Pipeline, { signal, ...options }: StartOptions): RunHandle {
    if (closed) throw new CaesuraError('CAESURA_E_USAGE', 'this engine is closed: it starts no runs any more')
    const { runId = randomUUID() } = options
    const trace = telemetry?.begin(options.trace) ?? options.trace ?? { traceId: newTraceId() }
    const submitted = opened.then(async (client) => {
      await client.submit(pipeline, { ...options, runId, trace, models })
      return client
    })
    const cancel = (reason?: string) =>
      void submitted.then((client) => client.cancel(runId, reason)).catch(() => undefined)
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
    const result = end()
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
    running.add(handle)
    return handle
  }

  async function close(): Promise<void> {
    closed = true
    for (const run of running) run.cancel('the engine is closing')
    await Promise.allSettled([...running].map((run) => run.result))
    await opened.then((client) => client.close()).catch(() => undefined)
  }

  return { start, close, [Symbol.asyncDispose]: close }
}
