import type { ServerDurations } from '../../core/call.ts'
import { type Said, saidBy } from './answer-parts.ts'
import { oddPiece } from './answer-state.ts'
import { countOf, nsOf } from './reported.ts'
import { isError, type ServerWords, wordsOf } from './server-words.ts'
import { cutBehindBreaks, LONGEST_LINE_BYTES, lineTooLong, Utf8Stream } from './utf8-stream.ts'

export interface AnswerLine {
  readonly isLast: boolean
  readonly said: Said
  /** The whole message: tool calls stand in it. */
  readonly message: Readonly<Record<string, unknown>>
  /** As the server sent it. */
  readonly reason: unknown
  /** The fault that the line tells of, beside or instead of text. */
  readonly error?: ServerWords
  readonly promptTokens: number | undefined
  readonly generatedTokens: unknown
  readonly server: ServerDurations
}

/**
 * Reads one line of a streamed `/api/chat` answer, as far as it carries the answer; by hand, for there is one for each token. What it
 * reports beside that (counts, durations, dates) is read leniently: see `reported.ts`. Throws `CAESURA_E_PROTOCOL` for what
 * carries no answer, with the line as `received`.
 */
export function parseLine(line: string): AnswerLine {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (cause) {
    throw oddPiece('a line of the answer is not JSON', line, cause)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw oddPiece('a line of the answer is no JSON object', line)
  const fields = json as Readonly<Record<string, unknown>>
  const { done } = fields
  const message = isObject(fields.message) ? fields.message : undefined
  const said = saidBy(message ?? {})
  const odd = oddField(fields, said)
  const carriesAnswer = odd === undefined && (typeof done === 'boolean' || message !== undefined)
  // An `error` that is empty beside an answer is none; alone it is one without words.
  const hasFailed = isError(fields.error) || (!carriesAnswer && 'error' in fields)
  if (!carriesAnswer && !hasFailed) {
    throw oddPiece(`a line of the answer has the wrong shape${odd === undefined ? '' : ` at ${odd}`}`, line)
  }
  return {
    isLast: done === true,
    said: said ?? { text: '', thinking: '' },
    message: message ?? {},
    reason: fields.done_reason,
    ...(hasFailed && { error: wordsOf(fields.error) }),
    promptTokens: countOf(fields.prompt_eval_count),
    generatedTokens: fields.eval_count,
    server: durationsOf(fields),
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The field that is not what an answer has there; undefined where all are. */
function oddField({ done, message }: Readonly<Record<string, unknown>>, said: Said | undefined): string | undefined {
  if (done !== undefined && done !== null && typeof done !== 'boolean') return 'done'
  if (message !== undefined && message !== null && !isObject(message)) return 'message'
  return said === undefined ? 'message.content' : undefined
}

/** Go leaves zeros out and 0.24 reports no decode time for a single token: what is absent stays absent. */
function durationsOf(fields: Readonly<Record<string, unknown>>): ServerDurations {
  const [totalNs, loadNs] = [nsOf(fields.total_duration), nsOf(fields.load_duration)]
  const [prefillNs, decodeNs] = [nsOf(fields.prompt_eval_duration), nsOf(fields.eval_duration)]
  return {
    ...(totalNs !== undefined && { totalNs }),
    ...(loadNs !== undefined && { loadNs }),
    ...(prefillNs !== undefined && { prefillNs }),
    ...(decodeNs !== undefined && { decodeNs }),
  }
}

/** A field of an event stream: some gateways wrap the lines in one. */
const eventField = /^(?:data|event|id|retry):|^:/

/**
 * Cuts a stream of bytes into lines, however they were cut on the way. Lines that say nothing are counted: empty ones, and what an event
 * stream has around its data. A last line without a line break counts. Throws `CAESURA_E_LINE_TOO_LONG` and, for what is not UTF-8,
 * `CAESURA_E_PROTOCOL`.
 */
export class LineSplitter {
  readonly #decoder = new Utf8Stream()
  readonly #heartbeat: () => void
  #begun = ''

  /** `heartbeat` is called at each line that says nothing. */
  constructor(heartbeat: () => void = () => {}) {
    this.#heartbeat = heartbeat
  }

  /** The lines that end with these bytes, one by one: those before a bad one are handed out before it throws. Take them all. */
  *push(bytes: Uint8Array): Generator<string, void, undefined> {
    for (const part of cutBehindBreaks(bytes)) {
      this.#begun += this.#decoder.push(part)
      // UTF-16 units, never more than the bytes they stand for.
      if (this.#begun.length > LONGEST_LINE_BYTES) throw lineTooLong()
      if (!this.#begun.endsWith('\n')) return
      const line = unwrapped(this.#begun.slice(0, -1))
      this.#begun = ''
      if (line === '') this.#heartbeat()
      else yield line
    }
  }

  end(): string[] {
    const last = unwrapped(this.#begun + this.#decoder.end())
    this.#begun = ''
    return last === '' ? [] : [last]
  }
}

/** The JSON of a line; empty where it has none. */
function unwrapped(line: string): string {
  const text = line.trim()
  if (!eventField.test(text)) return text
  const data = text.startsWith('data:') ? text.slice('data:'.length).trim() : ''
  return data === '[DONE]' ? '' : data
}
