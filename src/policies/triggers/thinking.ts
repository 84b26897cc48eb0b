import { msToNs, type Nanoseconds } from '../../core/clock.ts'
import { durationSchema } from '../../core/duration.ts'
import type { TriggerDefinition } from '../../core/policy.ts'

/**
 * Interrupts a model that thinks for longer than `most` ms, counted from its first piece of thinking, before any text or tool call. State:
 * when it is too long; `null` before it thinks, and once it is over.
 */
export const thinking: TriggerDefinition<number, { readonly due: Nanoseconds | null; readonly over?: true }> = {
  name: 'thinking',
  summary: 'Interrupts when the model thinks for longer than that and has said nothing yet.',
  parameter: durationSchema,
  parameterHint: 'D: the longest thinking, from its first piece',
  initial: () => ({ due: null }),
  step(state, event, most) {
    if (state.over) return { state }
    if (state.due !== null && event.at >= state.due) return { state, interrupt: 'thinking' }
    if (event.type === 'token' || event.type === 'tool-call') return { state: { due: null, over: true } }
    if (event.type !== 'thinking' || state.due !== null) return { state }
    const due = event.at + msToNs(most)
    return { state: { due }, wakeAt: due }
  },
}
