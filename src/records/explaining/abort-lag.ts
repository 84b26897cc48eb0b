import { quantile } from 'simple-statistics'
import { type Activity, activityAt, markOf } from '../../core/activity.ts'
import type { ProbeResult, Spread } from '../../core/probe.ts'
import type { CallRecord, RunRecord } from '../../core/record.ts'

/** What lies beside a record and may be asked: other recorded runs, and probes. */
export interface Beside {
  readonly records: readonly RunRecord[]
  /** The newest probe of a node and model, where it is certain which server it measured. */
  probe?(node: string, model: string): ProbeResult | undefined
}

/** How long a cancel takes, and how it is known. */
export interface AbortLag {
  readonly ms: number
  /** `records`: the median of cancel → slot free. `probe`: how much later than on an idle server the next first token came. */
  readonly source: 'records' | 'probe'
  /** How many cancels it stands on. */
  readonly n: number
  readonly node: string
  readonly model: string
  /** What the cancelled calls were doing. */
  readonly during: Activity
  /** Of a probe. */
  readonly measuredAt?: string
}

/** Fewer say nothing about a median. */
export const FEWEST_ABORTS = 3

/** Their calls settle when the connection is closed; a prompt that is being read may go on being read for seconds. */
const READS_ON: ReadonlySet<string | undefined> = new Set(['ollama', 'openai'])

/** When the slot of a cancelled call was free, as far as the record shows it. */
function freedAt(call: CallRecord, during: Activity): number | undefined {
  const witnessed = markOf(call, 'slot-free')
  if (witnessed !== undefined) return witnessed
  return during === 'before-first-token' && READS_ON.has(call.backend) ? undefined : markOf(call, 'settled')
}

/** Cancels of calls like this one: same model, node and backend, doing the same when they were cancelled. ms each. */
export function recordedLags(call: CallRecord, during: Activity, records: readonly RunRecord[]): number[] {
  return records.flatMap(({ stages }) =>
    stages.flatMap((other) => {
      const [asked, freed] = [markOf(other, 'abort-requested'), freedAt(other, during)]
      const wasCut = other.settlement === 'aborted' || other.settlement === 'withdrawn'
      const isLike = other.node === call.node && other.model === call.model && other.backend === call.backend
      if (!wasCut || !isLike || asked === undefined || freed === undefined || freed < asked) return []
      return activityAt(other, asked) === during ? [freed - asked] : []
    }),
  )
}

/**
 * What cancelling this call would have taken; undefined where neither enough records nor a probe tell. The longer one where
 * both do: a probe also sees what the server does after the connection is closed.
 */
export function abortLagOf(call: CallRecord, during: Activity, beside: Beside): AbortLag | undefined {
  const { node, model } = call
  if (node === undefined || model === undefined) return undefined
  const lags = recordedLags(call, during, beside.records)
  const recorded = lags.length < FEWEST_ABORTS ? undefined : quantile(lags, 0.5)
  const probe = beside.probe?.(node, model)
  const probed = probe && spreadOf(probe, during)
  if (probe !== undefined && probed !== undefined && probed.p50 >= (recorded ?? 0))
    return { ms: probed.p50, source: 'probe', n: probed.n, node, model, during, measuredAt: probe.measuredAt }
  return recorded === undefined ? undefined : { ms: recorded, source: 'records', n: lags.length, node, model, during }
}

function spreadOf({ slotFreeAfterAbortMs: { decode, prefill } }: ProbeResult, during: Activity): Spread | undefined {
  if (during === 'waiting') return undefined
  return during === 'decoding' ? decode : prefill
}
