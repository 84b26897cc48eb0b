import type { CarryDefinition } from '../../core/policy.ts'

/** What a reader of the run was handed: what a user can have seen or heard. */
export const delivered: CarryDefinition = {
  name: 'delivered',
  summary: 'What a reader of the run was handed, so what a user can have seen.',
  keep: (output) => output.delivered,
}
