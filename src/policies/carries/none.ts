import type { CarryDefinition } from '../../core/policy.ts'

/** The next stage starts without the interrupted output. */
export const none: CarryDefinition = {
  name: 'none',
  summary: 'Nothing of the interrupted output.',
  keep: () => '',
}
