import { type Activity, activityAt } from '../../core/activity.ts'
import type { CallRecord, InterruptRecord, RunRecord } from '../../core/record.ts'
import type { Beside } from './abort-lag.ts'
import { type Alternative, alternativesOf, type Unknown } from './alternatives.ts'
import { type ClockError, clockErrorsOf } from './clock-errors.ts'

/** One interrupt with the calls around it, and what would have been different. */
export interface ExplainedInterrupt {
  readonly interrupt: InterruptRecord
  /** The interrupted call, and what it was doing. Absent where the record has no such call. */
  readonly from?: CallRecord
  readonly during?: Activity
  readonly to?: CallRecord
  readonly alternatives: readonly Alternative[]
  readonly unknown: readonly Unknown[]
}

export interface Explanation {
  readonly record: RunRecord
  readonly interrupts: readonly ExplainedInterrupt[]
  readonly clockErrors: readonly ClockError[]
}

/** What a record shows, and what lies beside it. Pure. */
export function explain(record: RunRecord, beside: Beside): Explanation {
  const interrupts = record.interrupts.map((interrupt) => {
    const from = record.stages.find(({ callId }) => callId === interrupt.fromCall)
    const to = record.stages.find(({ callId }) => callId === interrupt.toCall)
    return {
      interrupt,
      ...(from && { from, during: activityAt(from, interrupt.at) }),
      ...(to && { to }),
      ...alternativesOf(interrupt, record, beside),
    }
  })
  return { record, interrupts, clockErrors: clockErrorsOf(record) }
}
