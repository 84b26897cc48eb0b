import type { CallEnd, GenerateContext, ServerDurations } from '../core/call.ts'
import { msToNs } from '../core/clock.ts'
import { CaesuraError } from '../core/errors.ts'
import type { AnswerReader } from './http-send.ts'
import { type AnswerChunk, type Arrival, ChunkReader } from './openai-chunks.ts'

/**
 * How long after the finish reason the rest of an answer may take (its counts, `[DONE]`), ms. The text is whole by then, so
 * a server that goes silent here has not failed the call.
 */
const FINISH_MS = 2_000

/** Reads a streamed answer to its end. `begun` is told at each event. */
export function streamedAnswer(address: string, context: GenerateContext, begun: () => void): AnswerReader<CallEnd> {
  const chunks = new ChunkReader()
  const answer = new Answer(context)
  const late = Promise.withResolvers<void>()
  let rest: NodeJS.Timeout | undefined
  const over = (): CallEnd => {
    clearTimeout(rest)
    return answer.end()
  }
  const take = (arrivals: readonly Arrival[]): CallEnd | undefined => {
    for (const arrival of arrivals) {
      context.signal.throwIfAborted()
      begun()
      if (answer.take(arrival)) return over()
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
      throw fault ?? new CaesuraError('CAESURA_E_STREAM_CUT', `the answer of ${address} ended without its last event`)
    },
  }
}

/** What was said of an answer so far. */
class Answer {
  readonly #context: GenerateContext
  #reason: string | undefined
  #usage: AnswerChunk['usage']
  #timings: AnswerChunk['timings']

  constructor(context: GenerateContext) {
    this.#context = context
  }

  /** Whether the text is whole: a finish reason came. Text behind it is none of the answer. */
  get finished(): boolean {
    return this.#reason !== undefined
  }

  /** Takes in what came. True at the end of the answer. Throws the fault that came. */
  take(arrival: Arrival): boolean {
    if (arrival === 'done') return true
    if (arrival instanceof CaesuraError) {
      if (this.finished) return true
      throw arrival
    }
    this.#usage = arrival.usage ?? this.#usage
    this.#timings = arrival.timings ?? this.#timings
    const choice = arrival.choices.find(({ index = 0 }) => index === 0)
    if (choice === undefined || this.finished) return false
    if (choice.delta?.content) this.#context.token(choice.delta.content)
    this.#reason = choice.finish_reason ?? undefined
    return false
  }

  /** Marks the end. What was not reported is absent. */
  end(): CallEnd {
    this.#context.signal.throwIfAborted()
    this.#context.mark('done')
    const [reason, usage, timings] = [this.#reason, this.#usage, this.#timings]
    const promptTokens = usage?.prompt_tokens ?? (timings && timings.prompt_n + (timings.cache_n ?? 0))
    const generatedTokens = usage?.completion_tokens ?? timings?.predicted_n
    return {
      end: 'completed',
      ...((reason === 'stop' || reason === 'length') && { finishReason: reason }),
      ...(promptTokens !== undefined && { promptTokens }),
      ...(generatedTokens !== undefined && { generatedTokens }),
      ...(timings !== undefined && { server: durations(timings) }),
    }
  }
}

const durations = ({ prompt_ms, predicted_ms }: NonNullable<AnswerChunk['timings']>): ServerDurations => ({
  prefillNs: msToNs(prompt_ms),
  decodeNs: msToNs(predicted_ms),
})
