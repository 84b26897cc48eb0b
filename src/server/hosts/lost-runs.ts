import type { HostedRunStore, LostRun } from '../../core/hosting.ts'
import type { RunStore } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import type { RunRecord } from '../../core/record.ts'

/**
 * The record of a run whose process ended before it did. Nothing is known of its calls, so it has none. Its time is as long as it was
 * seen to go on.
 */
function recordOf({ runId, traceId, pipeline, submittedAt, submittedBy, seenAt }: LostRun): RunRecord {
  return {
    ...{ schema: 'caesura.record/1', runId, pipeline, traceId },
    ...present({ submittedBy }),
    outcome: 'failed',
    error: {
      code: 'CAESURA_E_HOST_LOST',
      message: 'the process that hosted the run ended before the run did: what its calls said and cost is not known',
    },
    startedAt: new Date(submittedAt).toISOString(),
    startedUnixMs: submittedAt,
    durationMs: Math.max(0, seenAt - submittedAt),
    stages: [],
    interrupts: [],
    cost: { generatedTokens: 0, wastedTokens: 0, slotMs: 0, wastedSlotMs: 0 },
  }
}

/** Ends the runs that were live when the process before ended, as failed. Returns how many there were. Throws `CAESURA_E_RECORDS`. */
export function endLostRuns(store: HostedRunStore & Pick<RunStore, 'write'>): number {
  let count = 0
  for (const run of store.unended()) {
    // That process may have written its record, and ended before it noted that.
    if (store.recordedTrace(run.runId) === undefined) {
      store.write(recordOf(run))
      count += 1
    }
    store.ended(run.runId, 0)
  }
  return count
}
