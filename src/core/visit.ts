import type { CallRequest } from './call.ts'

/** How a run came to a visit of a stage. */
export const visitOrigins = ['order', 'then', 'next', 'again', 'start', 'group', 'each'] as const
/**
 * `order`: the first stage, or the stage before ended by itself. `then`: an interrupt's policy led there. `again`: an interrupt's policy led back
 * to the same stage. The others
 * are kept for further ways to a stage.
 */
export type VisitOrigin = (typeof visitOrigins)[number]

/** One entry of a stage in a run. */
export interface Visit {
  readonly stage: string
  /** 1 for the first of the stage in this run. */
  readonly visit: number
  readonly from: VisitOrigin
}

/** Which visit of its stage a call belongs to, and which attempt of that visit it is; 1 for the first of each. */
export interface CallPlaceInRun {
  readonly visit: number
  readonly attempt: number
}

/** What an older version kept of a call: its number among all calls of the stage, and whose place it took. */
interface NumberedCall {
  readonly stage: string
  readonly callId: string
  readonly retryOf?: string | undefined
}

/** Tells visits and attempts apart where only one number was kept: a call that took no other's place began a visit. */
export function placesInRun(calls: Iterable<NumberedCall>): Map<string, CallPlaceInRun> {
  const places = new Map<string, CallPlaceInRun>()
  const visits = new Map<string, number>()
  for (const { stage, callId, retryOf } of calls) {
    const before = retryOf === undefined ? undefined : places.get(retryOf)
    const visit = before?.visit ?? (visits.get(stage) ?? 0) + 1
    visits.set(stage, Math.max(visit, visits.get(stage) ?? 0))
    places.set(callId, { visit, attempt: (before?.attempt ?? 0) + 1 })
  }
  return places
}

/** Whether it is the first call that the run made of its stage. */
export const isFirstCall = ({ visit = 1, attempt }: Pick<CallRequest, 'visit' | 'attempt'>): boolean =>
  visit === 1 && attempt === 1
