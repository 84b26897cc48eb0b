import type { TriggerDefinition } from '../../core/policy.ts'

/** Interrupts as soon as the call has answered at all: the model is loaded, the prompt is read. */
export const firstToken: TriggerDefinition<undefined, null> = {
  name: 'first-token',
  summary: "Interrupts at the call's first token.",
  initial: () => null,
  step: (state, event) => (event.type === 'token' ? { state, interrupt: 'first-token' } : { state }),
}
