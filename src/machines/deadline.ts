import { type EventObject, fromCallback } from 'xstate'
import type { Nanoseconds } from '../core/clock.ts'
import { environmentOf } from './environment.ts'

export type DeadlineEvent = { readonly type: 'deadline' }

/**
 * Tells its parent when an instant of the run has come. An actor with an absolute instant as its input, because XState forgets
 * its own timers (`after`, delayed sends) when a run is restored (xstate#5331, #4860); this one starts again with the same input.
 */
export const deadlineLogic = fromCallback<EventObject, { readonly at: Nanoseconds }>(({ input, system, sendBack }) => {
  const { clock, journal } = environmentOf(system)
  return clock.schedule(journal.toClock(input.at), () => sendBack({ type: 'deadline' } satisfies DeadlineEvent))
})
