import { createHash } from 'node:crypto'
import type { ChatMessage } from '../../core/call.ts'

/**
 * The pieces that the scripted model server answers with: `w<hash of the messages>-<i> `. They follow from the messages alone, so
 * whoever knows those can tell a lost, a doubled or a foreign piece.
 */
export function scriptedPieces(messages: readonly ChatMessage[], count: number): string[] {
  const hash = createHash('sha256').update(JSON.stringify(messages.map(({ role, content }) => [role, content])))
  const name = hash.digest('hex').slice(0, 8)
  return Array.from({ length: count }, (_, i) => `w${name}-${i} `)
}
