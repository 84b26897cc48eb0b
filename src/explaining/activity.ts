import type { MarkName } from '../core/ledger.ts'
import type { CallRecord } from '../core/record.ts'

/** What a call was doing at an instant: waiting for its slot, on the way to its first token, or decoding. */
export type Activity = 'waiting' | 'before-first-token' | 'decoding'

/** `at` in ms from the run's start, while the call was in flight. Cancels cost differently in each. */
export function activityAt(call: CallRecord, at: number): Activity {
  const slotAt = markOf(call, 'slot-acquired')
  if (slotAt === undefined || slotAt > at) return 'waiting'
  return call.firstTokenMs === undefined || call.firstTokenMs > at ? 'before-first-token' : 'decoding'
}

/** The instant of a mark, ms from the run's start. Absent: not observed. */
export const markOf = (call: CallRecord, name: MarkName): number | undefined =>
  call.marks.find((mark) => mark.name === name)?.ms
