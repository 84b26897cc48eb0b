import { msToNs, type Nanoseconds } from '../../core/clock.ts'
import { durationSchema } from '../../core/duration.ts'
import type { TriggerDefinition } from '../../core/policy.ts'

/**
 * Interrupts after `silence` ms without a piece of text or thinking, or a tool call, the wait for the first one included. A call that has
 * ended is not silent, however long its text is handed out. State: when the silence is too long.
 */
export const stall: TriggerDefinition<number, { readonly due: Nanoseconds | null }> = {
  name: 'stall',
  summary: 'Interrupts when neither text nor thinking comes for so long.',
  parameter: durationSchema,
  parameterHint: 'D: the longest silence, from the start of the call or its last piece',
  initial: () => ({ due: null }),
  step(state, event, silence) {
    if (event.type === 'started' || event.type === 'token' || event.type === 'thinking' || event.type === 'tool-call') {
      const due = event.at + msToNs(silence)
      return { state: { due }, wakeAt: due }
    }
    if (event.type === 'ended') return { state: { due: null } }
    return state.due !== null && event.at >= state.due ? { state, interrupt: 'stall' } : { state }
  },
}
