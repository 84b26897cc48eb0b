import { createParser, type EventSourceMessage, type EventSourceParser } from 'eventsource-parser'
import { CaesuraError } from '../../core/errors.ts'
import { oddPiece } from './answer-state.ts'
import { type AnswerChunk, readChunk } from './openai-chunks.ts'
import { errorInText } from './openai-errors.ts'
import { faultInAnswer, wordsOf } from './server-words.ts'
import { cutBehindBreaks, LONGEST_LINE_BYTES, lineTooLong, Utf8Stream } from './utf8-stream.ts'

/** What a piece of the stream brought: chunks, what says nothing, the end of the answer, a fault at which reading stops. */
export type Arrival = AnswerChunk | 'heartbeat' | 'done' | CaesuraError

/** How much is kept of an answer without events, in characters. */
const HEAD = 4_096
/** How often it is looked whether an answer in one piece is whole. */
const MOST_LOOKS = 64
const DONE = '[DONE]'
const heartbeats = /^(ping|heartbeat|keep-?alive)$/i

function arrivalOf({ event = '', data }: EventSourceMessage): Arrival {
  if (data.trim() === DONE) return 'done'
  if (event === 'error') return faultInAnswer(errorInText(data) ?? wordsOf(data), true)
  if (heartbeats.test(event)) return 'heartbeat'
  return readChunk(data)
}

/**
 * Reads the chunks of an answer from its bytes, however they were cut on the way. Comments are heartbeats. An answer that is one JSON
 * document, of a server that does not stream, is one chunk. A fault is handed out behind the chunks that came before it:
 * `CAESURA_E_PROTOCOL`, `CAESURA_E_MODEL_ERROR`, `CAESURA_E_LINE_TOO_LONG`.
 */
export class ChunkReader {
  readonly #text = new Utf8Stream()
  readonly #parser: EventSourceParser
  #arrived: Arrival[] = []
  /** Of the line that has not ended, UTF-16 units: never more than the bytes they stand for. */
  #lineLength = 0
  /** The beginning of what came, until the first event. */
  #head: string | undefined = ''
  /** What came of an answer in one piece; undefined until one begins, and for a stream. */
  #whole: string | undefined
  #looks = 0

  constructor() {
    this.#parser = createParser({
      maxBufferSize: LONGEST_LINE_BYTES,
      onComment: () => void this.#arrived.push('heartbeat'),
      onEvent: (message) => {
        this.#head = undefined
        this.#arrived.push(arrivalOf(message))
      },
      onError: ({ type, field, value, line }) => {
        if (type === 'invalid-retry') return
        if (type === 'max-buffer-size-exceeded') return void this.#arrived.push(lineTooLong())
        // Older llama.cpp servers send `error: {…}`, and some send the bare object.
        const error = errorInText(line ?? '') ?? (field === 'error' ? errorInText(`{"error":${value}}`) : undefined)
        this.#arrived.push(error === undefined ? noEvents(line ?? '') : faultInAnswer(error, this.#head === undefined))
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
      if (this.#whole !== undefined) return
      const whole = this.#arrived.length
      this.#parser.feed('\n\n')
      this.#arrived = this.#arrived.filter((arrival, i) => i < whole || !(arrival instanceof CaesuraError))
    })
    if (this.#whole !== undefined)
      return isJson(this.#whole) ? [...last, readWhole(this.#whole), 'done'] : [...last, noEvents(this.#whole)]
    const strange = head === undefined || last.some(isAnswer) ? '' : notOfEvents(head)
    if (strange === '') return last
    const error = errorInText(strange)
    return [error === undefined ? noEvents(strange) : faultInAnswer(error, false)]
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
    if (this.#whole !== undefined || (this.#head !== undefined && /^\uFEFF?\s*\{/.test(this.#head))) {
      this.#feedWhole(text)
      return
    }
    this.#parser.feed(text)
    // The parser drops a line that is no field while it comes, and so bounds its own memory, but not the wait for its end.
    const lastBreak = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'))
    this.#lineLength = lastBreak === -1 ? this.#lineLength + text.length : text.length - lastBreak - 1
    if (this.#lineLength > LONGEST_LINE_BYTES) throw lineTooLong()
  }

  /** An event stream has no line that begins with a brace: it is a JSON document, which ends with one. */
  #feedWhole(text: string): void {
    this.#whole = this.#whole === undefined ? this.#head! : this.#whole + text
    if (this.#whole.length > LONGEST_LINE_BYTES) throw lineTooLong()
    // Where its end is not found soon, the end of the stream is waited for: each look reads all of it.
    if (!/\}\s*$/.test(text) || this.#looks++ > MOST_LOOKS || !isJson(this.#whole)) return
    this.#arrived.push(readWhole(this.#whole), 'done')
    this.#whole = undefined
    this.#head = undefined
  }
}

const readWhole = (text: string): AnswerChunk | CaesuraError => readChunk(text.replace(/^\uFEFF/, ''), true)

const isAnswer = (arrival: Arrival): boolean => arrival !== 'heartbeat'

function isJson(text: string): boolean {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ''))
    return true
  } catch {
    return false
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

const noEvents = (text: string): CaesuraError => oddPiece('the answer is no stream of events', text)
