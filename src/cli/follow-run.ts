import type { RunHandle } from '../core/engine.ts'
import type { RunEvent } from '../core/event.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'

/** What ended a run from outside: the number of the signal, as exit codes count it. */
const signals = { SIGINT: 130, SIGTERM: 143 } as const

export interface FollowedRun {
  readonly record: RunRecord
  /** 130 or 143 when a signal stopped it. */
  readonly stoppedBy?: number
}

/**
 * Takes every event of a run as it comes and waits for its record. Being handed an event is what "delivered" means, so
 * this is done in every mode. SIGINT and SIGTERM cancel the run; a second one ends the process at once. `stop` cancels
 * the run too, when nobody reads any more.
 */
export async function followRun(
  run: RunHandle,
  show: (event: RunEvent) => void,
  stop: AbortSignal,
): Promise<FollowedRun> {
  let stoppedBy: number | undefined
  const onSignal = (name: keyof typeof signals) => {
    if (stoppedBy !== undefined) process.exit(signals[name])
    stoppedBy = signals[name]
    run.cancel(name)
  }
  const onStop = () => run.cancel('nobody reads the output any more')
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  if (stop.aborted) onStop()
  else stop.addEventListener('abort', onStop, { once: true })
  try {
    for await (const event of run.events) show(event)
    const record = await run.result
    return { record, ...present({ stoppedBy }) }
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
    stop.removeEventListener('abort', onStop)
  }
}
