import { countSchema } from '../../core/duration.ts'
import type { TriggerDefinition } from '../../core/policy.ts'

/** Interrupts when the `limit`-th sentence of the call is over: when the next one begins, so that `3.` in `3.50` is none. */
export const sentence: TriggerDefinition<number, null> = {
  name: 'sentence',
  summary: 'Interrupts when the N-th sentence of the call is over.',
  parameter: countSchema,
  parameterHint: 'N: a number of sentences',
  initial: () => null,
  step: (state, event, limit) =>
    event.type === 'sentence-end' && event.count >= limit ? { state, interrupt: 'sentence' } : { state },
}
