import { createParser, type EventSourceParser } from 'eventsource-parser'
import { z } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import { quote } from './http-errors.ts'
import { errorIn, errorInText, modelError } from './openai-errors.ts'
import { cutBehindBreaks, LONGEST_LINE_BYTES, lineTooLong, Utf8Stream } from './utf8-stream.ts'

const count = z.int().min(0)
const ms = z.number().min(0)

/** What llama.cpp's server adds to the last chunk. `prompt_n` leaves out the `cache_n` tokens that it knew already. */
const timingsSchema = z.object({
  cache_n: count.optional(),
  prompt_n: count,
  prompt_ms: ms,
  predicted_n: count,
  predicted_ms: ms,
})

const chunkSchema = z.object({
  choices: z.array(
    z.object({
      index: z.int().optional(),
      // `reasoning_content` and its like are no text of the answer.
      delta: z.object({ content: z.string().nullish() }).nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: z.object({ prompt_tokens: count, completion_tokens: count }).nullish(),
  /** No part of the protocol: another server's field of this name is not ours to judge. */
  timings: timingsSchema.optional().catch(undefined),
})
/** One event of a streamed `/chat/completions` answer. */
export type AnswerChunk = z.infer<typeof chunkSchema>

/** What a piece of the stream brought: chunks, the end of the answer, a fault at which reading stops. */
export type Arrival = AnswerChunk | 'done' | CaesuraError

const QUOTED = 120
/** How much is kept of an answer without events, in characters. */
const HEAD = 4_096
const DONE = '[DONE]'

function parseChunk(data: string): Arrival {
  if (data.trim() === DONE) return 'done'
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch (cause) {
    const message = `an event of the answer is not JSON: ${quote(data, QUOTED)}`
    return new CaesuraError('CAESURA_E_PROTOCOL', message, { cause })
  }
  const parsed = chunkSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const error = errorIn(json)
  if (error !== undefined) return modelError(error.message)
  const where = parsed.error.issues[0]?.path.join('.') ?? ''
  return new CaesuraError(
    'CAESURA_E_PROTOCOL',
    `an event of the answer has the wrong shape${where && ` at ${where}`}`,
    {
      cause: parsed.error,
    },
  )
}

/**
 * Reads the chunks of an answer from its bytes, however they were cut on the way. Comments are skipped. A fault is handed out
 * behind the chunks that came before it: `CAESURA_E_PROTOCOL`, `CAESURA_E_MODEL_ERROR`, `CAESURA_E_LINE_TOO_LONG`.
 */
export class ChunkReader {
  readonly #text = new Utf8Stream()
  readonly #parser: EventSourceParser
  #arrived: Arrival[] = []
  /** Of the line that has not ended, UTF-16 units: never more than the bytes they stand for. */
  #lineLength = 0
  /** The beginning of what came, until the first event. */
  #head: string | undefined = ''

  constructor() {
    this.#parser = createParser({
      maxBufferSize: LONGEST_LINE_BYTES,
      onEvent: ({ data }) => {
        this.#head = undefined
        this.#arrived.push(parseChunk(data))
      },
      onError: ({ type, field, value, line }) => {
        if (type === 'invalid-retry') return
        if (type === 'max-buffer-size-exceeded') return void this.#arrived.push(lineTooLong())
        // Older llama.cpp servers send `error: {…}`, and some send the bare object.
        const error = errorInText(line ?? '') ?? (field === 'error' ? errorInText(`{"error":${value}}`) : undefined)
        this.#arrived.push(error === undefined ? noEvents(line ?? '') : modelError(error.message))
      },
    })
  }

  push(bytes: Uint8Array): readonly Arrival[] {
    return this.#take(() => {
      for (const part of cutBehindBreaks(bytes)) {
        this.#feed(this.#text.push(part))
        // Reading stops at a fault; the parser takes nothing more after some.
        if (this.#arrived.at(-1) instanceof CaesuraError) return
      }
    })
  }

  /** The stream has ended: a last event needs no empty line behind it, unless it was cut in the middle. */
  end(): readonly Arrival[] {
    const head = this.#head
    const last = this.#take(() => {
      this.#feed(this.#text.end())
      const whole = this.#arrived.length
      this.#parser.feed('\n\n')
      this.#arrived = this.#arrived.filter((arrival, i) => i < whole || !(arrival instanceof CaesuraError))
    })
    const strange = head === undefined || last.length > 0 ? '' : notOfEvents(head)
    if (strange === '') return last
    const error = errorInText(strange)
    return [error === undefined ? noEvents(strange) : modelError(error.message)]
  }

  #take(feed: () => void): readonly Arrival[] {
    try {
      feed()
    } catch (error) {
      if (!(error instanceof CaesuraError)) throw error
      this.#arrived.push(error)
    }
    const arrived = this.#arrived
    this.#arrived = []
    return arrived
  }

  #feed(text: string): void {
    if (this.#head !== undefined && this.#head.length < HEAD) this.#head += text
    this.#parser.feed(text)
    // The parser drops a line that is no field while it comes, and so bounds its own memory, but not the wait for its end.
    const lastBreak = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'))
    this.#lineLength = lastBreak === -1 ? this.#lineLength + text.length : text.length - lastBreak - 1
    if (this.#lineLength > LONGEST_LINE_BYTES) throw lineTooLong()
  }
}

const fields = ['data', 'event', 'id', 'retry'].map((name) => `${name}:`)

/** The lines that no stream of events has: neither comments nor fields, nor a field's cut-off beginning. */
const notOfEvents = (text: string): string =>
  text
    .split(/[\r\n]+/)
    .filter((line) => !line.startsWith(':') && !fields.some((name) => line.startsWith(name) || name.startsWith(line)))
    .join('\n')
    .trim()

const noEvents = (text: string): CaesuraError =>
  new CaesuraError('CAESURA_E_PROTOCOL', `the answer is no stream of events: ${quote(text, QUOTED)}`)
