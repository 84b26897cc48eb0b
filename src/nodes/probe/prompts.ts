import { randomInt } from 'node:crypto'
import type { Prompt } from './line.ts'

/** What a bundled model was trained on to answer at length, and any other takes as an instruction. */
const AT_LENGTH = 'You answer household questions. Answer at length.'
const questions = [
  'How do I descale my kettle?',
  'How do I clean a cast iron pan?',
  'How do I sharpen a kitchen knife?',
  'How do I water a cactus?',
]

/** At the start of a prompt it keeps the prefix cache from knowing it. */
const nonce = (): string => randomInt(2 ** 32).toString(36)

/** A short prompt that no cache knows, for one token. */
export const shortPrompt = (): Prompt => ({
  messages: [{ role: 'user', content: `${nonce()} How do I water a cactus?` }],
  options: { temperature: 0, maxTokens: 1 },
})

/**
 * A prompt of so many sentences that no cache knows, for one token. Each sentence is numbered from a random start: a server
 * that cuts a prompt which is too long takes its beginning away.
 */
export function longPrompt(sentences: number): Prompt {
  const from = randomInt(1000, 9000)
  const lines = Array.from(
    { length: sentences },
    (_, at) => `${from + at}: I have a kettle, a pan, a knife and a plant.`,
  )
  return {
    messages: [{ role: 'user', content: `${nonce()} ${lines.join(' ')} How do I water the plant?` }],
    options: { temperature: 0, maxTokens: 1 },
  }
}

/** A prompt with a long answer, which ends after `maxTokens` at the latest. */
export const talkPrompt = (maxTokens: number, which = 0): Prompt => ({
  messages: [
    { role: 'system', content: AT_LENGTH },
    { role: 'user', content: questions[which % questions.length]! },
  ],
  options: { temperature: 0, maxTokens },
})
