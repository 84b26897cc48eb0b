import { countSchema } from '../../core/duration.ts'
import type { TriggerDefinition } from '../../core/policy.ts'

/** Interrupts at the `limit`-th token of the call. */
export const tokens: TriggerDefinition<number, null> = {
  name: 'tokens',
  summary: 'Interrupts at the N-th token of the call.',
  parameter: countSchema,
  parameterHint: 'N: a number of tokens',
  initial: () => null,
  step: (state, event, limit) =>
    event.type === 'token' && event.count >= limit ? { state, interrupt: 'tokens' } : { state },
}
