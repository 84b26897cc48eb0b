import type { CarryDefinition } from '../../core/policy.ts'

/** All of an answer that ended by itself, else nothing. The default of a stage with a `format`, whose answer has held to it then. */
export const valid: CarryDefinition = {
  name: 'valid',
  summary: 'All of an answer that is whole, else nothing: for documents.',
  keep: ({ text, complete }) => (complete ? text : ''),
}
