import type { CallRecord, RunRecord } from './record.ts'
import { placesInRun } from './visit.ts'

/** The calls of a record with their visits, also of a record of version 1, which counted visits and attempts as one. */
export function callsOf({ schema, stages }: Pick<RunRecord, 'schema' | 'stages'>): readonly CallRecord[] {
  if (schema !== 'caesura.record/1') return stages
  const places = placesInRun(stages.map(({ id, ...call }) => ({ stage: id, ...call })))
  return stages.map((call) => ({ ...call, ...places.get(call.callId)! }))
}

/** A call by its stage, with its visit and its attempt where they are not the first: `draft, visit 2, attempt 3`. */
export function callName({ id, visit = 1, attempt }: Pick<CallRecord, 'id' | 'visit' | 'attempt'>): string {
  return `${id}${visit > 1 ? `, visit ${visit}` : ''}${attempt > 1 ? `, attempt ${attempt}` : ''}`
}
