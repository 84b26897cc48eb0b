import { z } from 'zod'
import { cancelCall, fireNext, type ResponseDefinition, withdrawNext } from '../../core/policy.ts'

interface Race {
  /** What wins for the next stage. */
  readonly until: 'first-token'
}

/**
 * Goes on without cancelling; the first usable answer wins. The next stage's first token cancels the old call. If the old call
 * ends first, its whole output counts: a next call that was fired with a part of it is withdrawn and fired again.
 * Wastes one of the two calls, in part; needs a second slot.
 */
export const race: ResponseDefinition<Race> = {
  name: 'race',
  summary: 'Goes on without cancelling; the first usable answer wins, the other is withdrawn.',
  parameter: z.strictObject({ until: z.literal('first-token').default('first-token') }).prefault({}),
  parameterHint: 'until: first-token',
  start: () => [fireNext],
  on: {
    nextFirstToken: () => [cancelCall],
    // An empty answer has no first token.
    nextSettled: () => [cancelCall],
    callSettled: ({ call, carry }) => (call.complete && carry !== 'none' ? [withdrawNext, fireNext] : []),
  },
}
