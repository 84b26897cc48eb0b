import type { CallEnd, CallRequest, GenerateContext, ServerDurations, ToolCallSeen } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Said } from './answer-parts.ts'
import { type Finish, finishOf } from './finish-reasons.ts'
import { quote } from './http-errors.ts'
import { generatedCount } from './reported.ts'
import { faultInAnswer } from './server-words.ts'

/** What an answer is read with. */
export interface AnswerCall {
  readonly address: string
  readonly context: GenerateContext
  /** The most tokens that were asked for. */
  readonly maxTokens?: number
  /** A line of the answer came. */
  begun(): void
  /** Something came that keeps the connection alive and says nothing. */
  heartbeat(): void
}

/** The limit of a request, for `AnswerCall`. */
export const mostOf = ({ options: { maxTokens } }: CallRequest): Pick<AnswerCall, 'maxTokens'> =>
  maxTokens === undefined ? {} : { maxTokens }

/** What a server reported beside an answer. What it did not report, or what cannot be, is absent. */
export interface Reported {
  readonly promptTokens?: number | undefined
  readonly cachedTokens?: number | undefined
  readonly generatedTokens?: unknown
  readonly thinkingTokens?: number | undefined
  readonly server?: ServerDurations
}

type Fields = Readonly<Record<string, unknown>>

/** The longest name or id of a tool call that is kept, in characters. */
const LONGEST_NAME = 128
/** Tool calls of one answer that are kept. */
const MOST_TOOL_CALLS = 128

/** What was said of one answer so far: passes its pieces on, and makes its end of what the server says of it. */
export class AnswerState {
  readonly #call: AnswerCall
  /** By index where they have one; a call may come in fragments. */
  readonly #tools: { id: string; name: string; readonly index: number | undefined }[] = []
  #askedForTools = false
  #isRefusal = false
  #text = 0
  #thinking = 0

  constructor(call: AnswerCall) {
    this.#call = call
  }

  /** Pieces of text and thinking that came. */
  get pieces(): number {
    return this.#text + this.#thinking
  }

  /** Whether anything of an answer came. */
  get hasBegun(): boolean {
    return this.pieces > 0 || this.#askedForTools
  }

  /** Passes on what was said, thinking first. Throws the reason of an abort that comes in between. */
  say({ text, thinking, isRefusal = false }: Said): void {
    const { context } = this.#call
    if (isRefusal) this.#isRefusal = true
    if (thinking !== '') {
      this.#thinking += 1
      context.thinking(thinking)
      context.signal.throwIfAborted()
    }
    if (text === '') return
    this.#text += 1
    context.token(text)
  }

  /** Notes the tool calls of a message or a delta, whole or in fragments. Their arguments are not kept. */
  noteTools({ tool_calls: calls, function_call: legacy }: Fields): void {
    if (Array.isArray(calls)) for (const call of calls) this.#noteTool(call)
    if (typeof legacy === 'object' && legacy !== null) this.#noteTool({ index: 0, function: legacy })
  }

  #noteTool(call: unknown): void {
    if (typeof call !== 'object' || call === null) return
    this.#askedForTools = true
    const { id: givenId, index: givenIndex, function: called, name: ownName } = call as Fields
    const inner = typeof called === 'object' && called !== null ? (called as Fields) : {}
    const id = nameOf(givenId)
    const name = nameOf(inner.name ?? ownName)
    const index = [givenIndex, inner.index].find((value): value is number => typeof value === 'number')
    const last = this.#tools.at(-1)
    // A fragment has the index of its call, or the id, or neither; some give every call of an answer the index 0.
    const known =
      index === undefined
        ? id === '' && name === ''
          ? last
          : this.#tools.find((tool) => id !== '' && tool.id === id)
        : this.#tools.findLast((tool) => tool.index === index && (id === '' || tool.id === '' || tool.id === id))
    if (known !== undefined) {
      known.id ||= id
      known.name ||= name
    } else if (this.#tools.length < MOST_TOOL_CALLS) this.#tools.push({ id, name, index })
  }

  /** A finish reason that is none throws its fault: a server that gave the answer up has not ended it. */
  finish(value: unknown): Finish | undefined {
    const finish = finishOf(value)
    if (!finish?.isFault) return finish
    throw faultInAnswer({ message: `it ended the answer with "${finish.said}"`, kind: finish.said }, this.hasBegun)
  }

  /** Marks the end of a whole answer. */
  end(
    finish: Finish | undefined,
    { promptTokens, cachedTokens, generatedTokens, thinkingTokens, server }: Reported,
  ): CallEnd {
    const { context, maxTokens } = this.#call
    context.signal.throwIfAborted()
    context.mark('done')
    // What a model thought without showing it is in no piece.
    const generated = generatedCount(generatedTokens, this.pieces + (thinkingTokens ?? 0), maxTokens)
    const toolCalls = this.#tools
      .filter(({ name }) => name !== '')
      .map(({ id, name }): ToolCallSeen => ({ ...(id !== '' && { id }), name }))
    const ended = finish?.reason
    const byItself = ended === undefined || ended === 'stop'
    const reason =
      byItself && this.#askedForTools ? 'tool-calls' : byItself && this.#isRefusal ? 'content-filter' : ended
    return {
      end: 'completed',
      ...(reason !== undefined && { finishReason: reason }),
      ...(finish !== undefined && finish.reason === undefined && { finishSaid: finish.said }),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...(promptTokens !== undefined && { promptTokens }),
      ...(cachedTokens !== undefined && cachedTokens <= (promptTokens ?? 0) && { cachedTokens }),
      ...(generated !== undefined && { generatedTokens: generated }),
      ...(thinkingTokens !== undefined && generated !== undefined && thinkingTokens <= generated && { thinkingTokens }),
      ...(server !== undefined && Object.keys(server).length > 0 && { server }),
    }
  }
}

const nameOf = (value: unknown): string => (typeof value === 'string' ? value.slice(0, LONGEST_NAME) : '')

/** A line or an event that is no part of an answer. What it says is kept apart from the message: it may be text of a model. */
export const oddPiece = (what: string, received: string, cause?: unknown): CaesuraError =>
  new CaesuraError('CAESURA_E_PROTOCOL', what, { received: quote(received, QUOTED).toWellFormed(), cause })

/** How much of it is kept, in characters. */
const QUOTED = 120
