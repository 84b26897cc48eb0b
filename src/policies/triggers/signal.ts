import type { TriggerDefinition } from '../../core/policy.ts'

/** Interrupts when a signal comes from outside, and only then. Signals reach a call whatever its trigger is, so it never fires by itself. */
export const signal: TriggerDefinition<undefined, null> = {
  name: 'signal',
  summary: 'Interrupts when a signal comes from outside, such as new user input.',
  initial: () => null,
  step: (state) => ({ state }),
}
