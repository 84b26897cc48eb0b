import type { CarryDefinition } from '../../core/policy.ts'

/** What the reader acknowledged: what a user has heard. Of a reader who never acknowledges it is what was handed out, as `delivered`. */
export const heard: CarryDefinition = {
  name: 'heard',
  summary: 'What the reader acknowledged to have heard or seen; without acknowledgements what was handed out.',
  keep: (output) => output.heard,
}
