import { msToNs, type Nanoseconds } from '../../core/clock.ts'
import { durationSchema } from '../../core/duration.ts'
import type { TriggerDefinition } from '../../core/policy.ts'

/** Interrupts `delay` ms after the call's start, waiting for a slot included. State: the instant, once the call has started. */
export const after: TriggerDefinition<number, { readonly due: Nanoseconds | null }> = {
  name: 'after',
  summary: "Interrupts so long after the call's start.",
  parameter: durationSchema,
  parameterHint: "D: a duration from the call's start, waiting included",
  initial: () => ({ due: null }),
  step(state, event, delay) {
    if (event.type === 'started') {
      const due = event.at + msToNs(delay)
      return { state: { due }, wakeAt: due }
    }
    return state.due !== null && event.at >= state.due ? { state, interrupt: 'after' } : { state }
  },
}
