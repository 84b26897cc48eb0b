import { createHash } from 'node:crypto'
import type { ChatMessage } from '../../core/call.ts'
import type { Script } from './scripted.ts'

/**
 * The pieces that the scripted model server answers with: `w<hash of the messages>-<i> `. They follow from the messages alone, so
 * whoever knows those can tell a lost, a doubled or a foreign piece.
 */
export function scriptedPieces(messages: readonly ChatMessage[], count: number): string[] {
  const hash = createHash('sha256').update(JSON.stringify(messages.map(({ role, content }) => [role, content])))
  const name = hash.digest('hex').slice(0, 8)
  return Array.from({ length: count }, (_, i) => `w${name}-${i} `)
}

export interface ScriptTimes {
  /** Pieces of an answer, unless the call asks for fewer; 32 by default. */
  readonly tokens?: number
  /** From the request to the first piece, ms; 0 by default. */
  readonly firstTokenMs?: number
  /** Between two pieces, ms; 0 by default. */
  readonly tokenMs?: number
}

export const DEFAULT_TOKENS = 32

/** `scriptedPieces` of each call, when `times` say. */
export const timedScript =
  ({ tokens = DEFAULT_TOKENS, ...times }: ScriptTimes): Script =>
  ({ messages, options }) => ({
    ...times,
    tokens: scriptedPieces(messages, Math.min(tokens, options.maxTokens ?? tokens)),
  })
