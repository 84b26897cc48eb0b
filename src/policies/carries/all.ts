import type { CarryDefinition } from '../../core/policy.ts'

/** All that was received, cut in the middle of a word if need be. */
export const all: CarryDefinition = {
  name: 'all',
  summary: 'All that was received, even half a word.',
  keep: (output) => output.text,
}
