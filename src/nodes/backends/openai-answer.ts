import type { CallEnd } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import { type AnswerCall, AnswerState } from './answer-state.ts'
import type { Finish } from './finish-reasons.ts'
import { AnswerFault } from './http-errors.ts'
import type { AnswerReader } from './http-send.ts'
import type { AnswerChunk, Usage } from './openai-chunks.ts'
import { type Arrival, ChunkReader } from './openai-events.ts'
import { faultInAnswer } from './server-words.ts'

/**
 * How long after the finish reason the rest of an answer may take (its counts, `[DONE]`), ms. The text is whole by then, so
 * a server that goes silent here has not failed the call.
 */
const FINISH_MS = 2_000

/** Reads a streamed answer to its end; one that ends without a finish reason is `CAESURA_E_STREAM_CUT`. */
export function streamedAnswer(call: AnswerCall): AnswerReader<CallEnd> {
  const chunks = new ChunkReader()
  const answer = new Answer(call)
  const late = Promise.withResolvers<void>()
  let rest: NodeJS.Timeout | undefined
  const over = (): CallEnd => {
    clearTimeout(rest)
    return answer.end()
  }
  const take = (arrivals: readonly Arrival[]): CallEnd | undefined => {
    for (const arrival of arrivals) {
      call.context.signal.throwIfAborted()
      if (arrival === 'heartbeat') call.heartbeat()
      else {
        call.begun()
        if (answer.take(arrival)) return over()
      }
    }
    return undefined
  }
  return {
    late: late.promise,
    push(bytes) {
      const end = take(chunks.push(bytes))
      if (end === undefined && answer.finished) rest ??= setTimeout(late.resolve, FINISH_MS).unref()
      return end
    },
    end(fault) {
      const end = fault === undefined ? take(chunks.end()) : undefined
      if (end !== undefined) return end
      if (answer.finished) return over()
      throw fault ?? answer.cut()
    },
  }
}

/** What was said of an answer so far. */
class Answer {
  readonly #address: string
  readonly #state: AnswerState
  #finish: Finish | undefined
  #isWhole = false
  #usage: Usage = {}
  #chunks = 0
  #choices = 0

  constructor(call: AnswerCall) {
    this.#address = call.address
    this.#state = new AnswerState(call)
  }

  /** Whether the text is whole: a finish reason came, or the answer in one piece. Text behind it is none of the answer. */
  get finished(): boolean {
    return this.#finish !== undefined || this.#isWhole
  }

  /** Takes in what came. True at the end of the answer. Throws the fault that came. */
  take(arrival: AnswerChunk | 'done' | CaesuraError): boolean {
    if (arrival === 'done') {
      if (!this.finished) throw this.cut()
      return true
    }
    if (arrival instanceof CaesuraError) {
      if (this.finished) return true
      throw this.#chunks > 0 ? AnswerFault.of(arrival) : arrival
    }
    this.#chunks += 1
    this.#usage = { ...this.#usage, ...arrival.usage }
    if (!this.finished) this.#takeChoice(arrival)
    return false
  }

  #takeChoice({ choice, error, isWhole }: AnswerChunk): void {
    if (choice !== undefined) {
      this.#choices += 1
      this.#state.say(choice.said)
      this.#state.noteTools(choice.message, isWhole)
    }
    // What came of the text is told before the fault that ends it.
    if (error !== undefined) throw faultInAnswer(error, this.#state.hasBegun)
    if (choice === undefined) return
    this.#finish = this.#state.finish(choice.reason)
    this.#isWhole = isWhole
  }

  /** The fault of an answer that ended before it was whole. */
  cut(): CaesuraError {
    const message = `the answer of ${this.#address} ended without a finish reason`
    if (this.#chunks === 0 || this.#choices > 0) return new CaesuraError('CAESURA_E_STREAM_CUT', message)
    return faultInAnswer({ message: `${message}, and without a choice in any event`, kind: '' }, false)
  }

  /** Marks the end. What was not reported is absent. */
  end(): CallEnd {
    return this.#state.end(this.#finish, this.#usage)
  }
}
