import type { CarryDefinition } from '../../core/policy.ts'
import { completeSentences } from '../../core/sentence.ts'

/** The sentences that are over. If the call ended by itself, all of its text. */
export const sentences: CarryDefinition = {
  name: 'sentences',
  summary: 'The complete sentences of what was received.',
  keep: ({ text, complete }) => (complete ? text : text.slice(0, completeSentences(text))),
}
