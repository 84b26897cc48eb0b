import { createHash } from 'node:crypto'
import type { CallRequest, ChatMessage } from '../../src/core/call.ts'

/** Answers of the fleet's model in the chaos run: what a call says depends on its prompt alone, so a wrong text is seen. */
const TOKENS = { draft: 24, refine: 12 } as const

export const tokensFor = (stage: string, prompt: string): string[] => {
  const seed = createHash('sha256').update(prompt).digest('hex').slice(0, 8)
  const count = stage === 'draft' ? TOKENS.draft : TOKENS.refine
  return Array.from({ length: count }, (_, index) => `${seed}-${index}${index % 6 === 5 ? '. ' : ' '}`)
}

export const promptOf = (messages: readonly ChatMessage[]): string => messages.map(({ content }) => content).join('\n')

export const scriptFor = ({ stage, messages }: CallRequest) => ({
  tokens: tokensFor(stage, promptOf(messages)),
  firstTokenMs: 15,
  tokenMs: 12,
  abortMs: 2,
})

/** The prompts of the chaos pipeline, as its templates fill them in. */
export const draftPrompt = (input: string): string => `draft ${input}`
export const refinePrompt = (input: string, draft: string, change: string): string =>
  `refine ${input} | ${draft} | ${change}`
