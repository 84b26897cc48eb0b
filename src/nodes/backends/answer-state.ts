import type { CallEnd, CallRequest, GenerateContext, ServerDurations } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Said } from './answer-parts.ts'
import { AnswerTools } from './answer-tools.ts'
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

/** What was said of one answer so far: passes its pieces on, and makes its end of what the server says of it. */
export class AnswerState {
  readonly #call: AnswerCall
  readonly #tools: AnswerTools
  #isRefusal = false
  #text = 0
  #thinking = 0

  constructor(call: AnswerCall) {
    this.#call = call
    this.#tools = new AnswerTools(call.context)
  }

  /** Pieces of text and thinking, and tool calls, that came. */
  get pieces(): number {
    return this.#text + this.#thinking + this.#tools.told
  }

  /** Whether anything of an answer came. */
  get hasBegun(): boolean {
    return this.pieces > 0 || this.#tools.isAsked
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

  /**
   * Takes in the tool calls of a message or a delta, whole or in fragments (`areWhole`: never in fragments), and tells of those that are
   * whole.
   */
  noteTools(message: Fields, areWhole: boolean): void {
    this.#tools.take(message, areWhole)
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
    this.#tools.end(finish?.reason === 'length')
    context.mark('done')
    // What a model thought without showing it is in no piece.
    const generated = generatedCount(generatedTokens, this.pieces + (thinkingTokens ?? 0), maxTokens)
    const toolCalls = this.#tools.names
    const ended = finish?.reason
    const byItself = ended === undefined || ended === 'stop'
    const reason =
      byItself && this.#tools.isAsked ? 'tool-calls' : byItself && this.#isRefusal ? 'content-filter' : ended
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

/** A line or an event that is no part of an answer. What it says is kept apart from the message: it may be text of a model. */
export const oddPiece = (what: string, received: string, cause?: unknown): CaesuraError =>
  new CaesuraError('CAESURA_E_PROTOCOL', what, { received: quote(received, QUOTED).toWellFormed(), cause })

/** How much of it is kept, in characters. */
const QUOTED = 120
