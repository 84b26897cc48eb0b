import { createHash } from 'node:crypto'
import type { CallRequest, ChatMessage } from '../../core/call.ts'
import { exampleOf } from './schema-example.ts'
import { type CallScript, documentPieces, type Script } from './scripted.ts'

/**
 * The pieces that the scripted model server answers with: `w<hash of the messages>-<i> `. They follow from the messages alone, so
 * whoever knows those can tell a lost, a doubled or a foreign piece.
 */
export function scriptedPieces(messages: readonly ChatMessage[], count: number): string[] {
  const name = nameOf(messages)
  return Array.from({ length: count }, (_, i) => `w${name}-${i} `)
}

function nameOf(messages: readonly ChatMessage[]): string {
  const hash = createHash('sha256').update(JSON.stringify(messages.map(({ role, content }) => [role, content])))
  return hash.digest('hex').slice(0, 8)
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
/** Pieces of thinking of a call that asks for it. */
export const THOUGHTS = 8

/** `scriptedPieces` of each call, when `times` say. */
export const timedScript = ({ tokens = DEFAULT_TOKENS, ...times }: ScriptTimes): Script =>
  scriptSaying(({ messages }) => scriptedPieces(messages, tokens), times)

/**
 * Answers as a model would that does all that it is asked for: it thinks where it is told to (`t<hash>-<i> `), calls its first tool where it has
 * tools and no result of one yet, gives a document that holds to its format, and else says what `textOf` gives. What follows from the
 * messages alone is the same each time. `maxTokens` cuts it, a piece a token.
 */
export const scriptSaying =
  (textOf: (request: CallRequest) => readonly string[], times: Omit<ScriptTimes, 'tokens'> = {}): Script =>
  (request) => {
    const { messages, options, think, format, tools } = request
    const name = nameOf(messages)
    const thinks = think !== undefined && think !== false
    const thinking = thinks ? Array.from({ length: THOUGHTS }, (_, i) => `t${name}-${i} `) : []
    const [tool] = messages.at(-1)?.role === 'tool' ? [] : (tools ?? [])
    const said =
      tool !== undefined
        ? []
        : format === undefined
          ? textOf(request)
          : documentPieces(format === 'json' ? { answer: `w${name}` } : exampleOf(format))
    const calls = tool && [{ id: `call_${name}`, name: tool.name, arguments: Object(exampleOf(tool.parameters)) }]
    return cutAt(options.maxTokens, { ...times, thinking, tokens: said, ...(calls && { toolCalls: calls }) })
  }

function cutAt(most = Number.POSITIVE_INFINITY, script: CallScript): CallScript {
  const { thinking = [], tokens, toolCalls = [] } = script
  if (thinking.length + tokens.length + toolCalls.length <= most) return script
  const text = Math.max(0, most - thinking.length)
  return {
    ...script,
    thinking: thinking.slice(0, most),
    tokens: tokens.slice(0, text),
    toolCalls: toolCalls.slice(0, Math.max(0, text - tokens.length)),
    finishReason: 'length',
  }
}
