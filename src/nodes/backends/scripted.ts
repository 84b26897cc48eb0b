import type { CallEnd, CallRequest, FinishReason, GenerateContext, ToolCallSeen } from '../../core/call.ts'
import { msToNs, type Nanoseconds } from '../../core/clock.ts'
import type { ErrorCode } from '../../core/errors.ts'
import type { Backend } from '../../core/ports.ts'

/** What one scripted call does. All times in ms on the clock of the run. */
export interface CallScript {
  /** The pieces of text, in order. */
  readonly tokens: readonly string[]
  /** The pieces of thinking that come before them; none by default. */
  readonly thinking?: readonly string[]
  /** A document in place of `tokens`: it is said as JSON, a few characters a piece. */
  readonly value?: unknown
  /** From the request to the first piece: prefill. 0 by default. */
  readonly firstTokenMs?: number
  /** Between two pieces. 0 by default: all come at once. */
  readonly tokenMs?: number
  /** From the last token to the end. 0 by default. */
  readonly endMs?: number
  /** From an abort to the moment when the call is settled. 0 by default. */
  readonly abortMs?: number
  /** Why the model stops; `stop` by default. */
  readonly finishReason?: FinishReason
  /** The tools that the model calls, a piece each, after its text; none by default. One without `arguments` has none. */
  readonly toolCalls?: readonly ToolCallSeen[]
  /**
   * The server's count of text and thinking, told at the end of a whole answer only, as servers do. Without it each piece is a token,
   * and an aborted call is counted too. `none`: the server never counts.
   */
  readonly generatedTokens?: number | 'none'
  /** Fails with this code after so many tokens. */
  readonly fail?: {
    readonly code: ErrorCode
    readonly message: string
    readonly afterTokens: number
    readonly retryable?: boolean
    /** How long the server asks to wait, ms. */
    readonly retryAfterMs?: number
  }
  /** Never ends by itself after its tokens. */
  readonly hang?: boolean
}

/** Chooses the script of a call. */
export type Script = CallScript | ((request: CallRequest) => CallScript)

/**
 * A model server that says what it is told, when it is told, on the clock of the run: for tests and simulations. With a virtual
 * clock it is deterministic to the nanosecond. It takes calls for any model, and lists `models`. An abort is heeded in every phase, after the script's `abortMs`.
 */
export function scriptedBackend(script: Script, models: readonly string[] = ['scripted']): Backend {
  return {
    kind: 'scripted',
    takesAnyModel: true,
    server: async () => ({ kind: 'scripted' }),
    models: async () => models.map((name) => ({ name })),
    load: async () => undefined,
    prefill: async () => undefined,
    close: async () => undefined,
    generate: (request, context) => play(typeof script === 'function' ? script(request) : script, context),
  }
}

/** Characters of a document in one piece. */
const PIECE = 6

/** A document as it is said. */
export const documentPieces = (value: unknown): string[] =>
  JSON.stringify(value).match(new RegExp(`[^]{1,${PIECE}}`, 'gu')) ?? []

function play(
  script: CallScript,
  { clock, signal, mark, token, thinking: think, toolCall: callTool }: GenerateContext,
): Promise<CallEnd> {
  if (signal.aborted) return Promise.resolve({ end: 'cancelled' })
  return new Promise((resolve) => {
    const { thinking = [], firstTokenMs = 0, tokenMs = 0, endMs = 0, abortMs = 0, fail, hang = false } = script
    const { toolCalls = [], generatedTokens: count } = script
    const { finishReason = toolCalls.length > 0 ? 'tool-calls' : 'stop' } = script
    const tokens = script.value === undefined ? script.tokens : documentPieces(script.value)
    const last = thinking.length + tokens.length + toolCalls.length
    let [thought, said, called] = [0, 0, 0]
    let due: Nanoseconds = clock.now()
    let withdraw: () => void = () => undefined
    const wait = (ms: number, next: () => void) => {
      due += msToNs(ms)
      withdraw = clock.schedule(due, next)
    }
    const finish = (end: CallEnd) => {
      signal.removeEventListener('abort', abort)
      mark('closed')
      resolve(end)
    }
    const abort = () => {
      withdraw()
      const cut = () =>
        finish({ end: 'cancelled', ...(count === undefined && { generatedTokens: thought + said + called }) })
      if (abortMs === 0) cut()
      else clock.schedule(clock.now() + msToNs(abortMs), cut)
    }
    const say = () => {
      if (fail !== undefined && said >= fail.afterTokens) {
        const { code, message, retryable = false, retryAfterMs } = fail
        const asked = retryAfterMs !== undefined && { retryAfterMs }
        return finish({ end: 'failed', error: { code, message }, retryable, ...asked })
      }
      if (thought + said + called === 0) mark('prefill-end')
      const idea = thinking[thought]
      const text = tokens[said]
      const call = toolCalls[called]
      if (idea !== undefined) {
        thought += 1
        think(idea)
      } else if (text !== undefined) {
        said += 1
        token(text)
      } else if (call !== undefined) {
        called += 1
        callTool?.({ ...call, arguments: call.arguments ?? {} })
      } else return hang ? undefined : wait(endMs, complete)
      // The piece may have led to an abort, which has withdrawn or finished already.
      if (!signal.aborted) wait(thought + said + called < last ? tokenMs : 0, say)
    }
    const complete = () => {
      mark('done')
      finish({
        end: 'completed',
        finishReason,
        ...(toolCalls.length > 0 && { toolCalls }),
        ...(count !== 'none' && { generatedTokens: count ?? thought + said + called }),
      })
    }
    signal.addEventListener('abort', abort, { once: true })
    mark('prefill-start')
    wait(firstTokenMs, say)
  })
}
