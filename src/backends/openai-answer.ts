import type { Response } from 'undici'
import type { CallEnd, GenerateContext, ServerDurations } from '../core/call.ts'
import { msToNs } from '../core/clock.ts'
import { CaesuraError } from '../core/errors.ts'
import type { HttpCall } from './http-call.ts'
import { streamError } from './http-errors.ts'
import { type AnswerChunk, type Arrival, ChunkReader } from './openai-chunks.ts'

/**
 * How long after the finish reason the rest of an answer may take (its counts, `[DONE]`), ms. The text is whole by then, so
 * a server that goes silent here has not failed the call.
 */
const FINISH_MS = 2_000

interface Reading {
  readonly call: HttpCall
  readonly context: GenerateContext
  /** Told at the first event. */
  begun(): void
}

/** Reads one streamed answer to its end, unless the call is cancelled before. Throws. */
export async function readAnswer(response: Response, { call, context, begun }: Reading): Promise<CallEnd> {
  if (response.body === null) throw new CaesuraError('CAESURA_E_PROTOCOL', `${call.address} sent an empty answer`)
  const reader = response.body.getReader()
  const chunks = new ChunkReader()
  const answer = new Answer(context)
  let rest: ReturnType<typeof timer> | undefined
  try {
    for (let over = false; !over; ) {
      const piece = await next(reader, rest?.passed, answer, call)
      over = piece === undefined
      for (const arrival of piece === undefined ? chunks.end() : chunks.push(piece)) {
        context.signal.throwIfAborted()
        begun()
        if (answer.take(arrival)) return answer.end()
      }
      if (answer.finished) rest ??= timer(FINISH_MS)
    }
    context.signal.throwIfAborted()
    if (answer.finished) return answer.end()
    throw new CaesuraError('CAESURA_E_STREAM_CUT', `the answer of ${call.address} ended without its last event`)
  } finally {
    rest?.stop()
  }
}

/** The next bytes; undefined at the end, and at whatever comes in their place once the text is whole. */
async function next(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  passed: Promise<undefined> | undefined,
  answer: Answer,
  { signal, address }: HttpCall,
): Promise<Uint8Array | undefined> {
  try {
    const piece = await (passed === undefined ? reader.read() : Promise.race([reader.read(), passed]))
    return piece === undefined || piece.done ? undefined : piece.value
  } catch (error) {
    signal.throwIfAborted()
    if (answer.finished) return undefined
    throw streamError(error, address)
  }
}

function timer(ms: number): { readonly passed: Promise<undefined>; stop(): void } {
  let stop = () => {}
  const passed = new Promise<undefined>((resolve) => {
    const handle = setTimeout(() => resolve(undefined), ms)
    stop = () => clearTimeout(handle)
  })
  return { passed, stop }
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
