import type { TriggerDefinition } from '../../core/policy.ts'

/** Never interrupts by itself. With `signals: ignore` the call cannot be interrupted at all. */
export const never: TriggerDefinition<undefined, null> = {
  name: 'never',
  summary: 'Never interrupts by itself; with signals: ignore nothing does.',
  initial: () => null,
  step: (state) => ({ state }),
}
