import type { MarkName } from './ledger.ts'

/** What a call was doing at an instant: waiting for its slot, on the way to its first token, or decoding. */
export const activities = ['waiting', 'before-first-token', 'decoding'] as const
export type Activity = (typeof activities)[number]

/** What of a call's record this needs. */
interface Marked {
  readonly marks: readonly { readonly name: string; readonly ms: number }[]
}

/** `at` in ms from the run's start, while the call was in flight. Cancels cost differently in each. */
export function activityAt(call: Marked & { readonly firstTokenMs?: number | undefined }, at: number): Activity {
  const slotAt = markOf(call, 'slot-acquired')
  if (slotAt === undefined || slotAt > at) return 'waiting'
  return call.firstTokenMs === undefined || call.firstTokenMs > at ? 'before-first-token' : 'decoding'
}

/** The instant of a mark, ms from the run's start. Absent: not observed. */
export const markOf = (call: Marked, name: MarkName): number | undefined =>
  call.marks.find((mark) => mark.name === name)?.ms
