import { z } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import { cutBehindBreaks, LONGEST_LINE_BYTES, lineTooLong, Utf8Stream } from './utf8-stream.ts'

const count = z.int().min(0).optional()

/** One line of a streamed `/api/chat` answer. Counts and durations (ns) stand in the last one; Go leaves zeros out. */
const lineSchema = z.union([
  z.object({ error: z.string() }),
  z.object({
    done: z.boolean(),
    message: z.object({ content: z.string().optional(), thinking: z.string().optional() }),
    done_reason: z.string().optional(),
    total_duration: count,
    load_duration: count,
    prompt_eval_count: count,
    prompt_eval_duration: count,
    eval_count: count,
    eval_duration: count,
  }),
])
export type AnswerLine = Exclude<z.infer<typeof lineSchema>, { error: string }>

const QUOTED = 120

/** Reads one line. Throws `CAESURA_E_PROTOCOL`, and `CAESURA_E_MODEL_ERROR` for an error line. */
export function parseLine(line: string): AnswerLine {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (cause) {
    const quoted = line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line
    throw new CaesuraError('CAESURA_E_PROTOCOL', `a line of the answer is not JSON: ${quoted}`, { cause })
  }
  const parsed = lineSchema.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const where = issue?.path.join('.') ?? ''
    throw new CaesuraError('CAESURA_E_PROTOCOL', `a line of the answer has the wrong shape${where && ` at ${where}`}`, {
      cause: parsed.error,
    })
  }
  if ('error' in parsed.data) {
    throw new CaesuraError(
      'CAESURA_E_MODEL_ERROR',
      `the server failed in the middle of the answer: ${parsed.data.error}`,
    )
  }
  return parsed.data
}

/**
 * Cuts a stream of bytes into lines, however they were cut on the way. Empty lines are skipped. A last line without a line
 * break counts. Throws `CAESURA_E_LINE_TOO_LONG` and, for what is not UTF-8, `CAESURA_E_PROTOCOL`.
 */
export class LineSplitter {
  readonly #decoder = new Utf8Stream()
  #begun = '';

  /** The lines that end with these bytes, one by one: those before a bad one are handed out before it throws. Take them all. */
  *push(bytes: Uint8Array): Generator<string, void, undefined> {
    for (const part of cutBehindBreaks(bytes)) {
      this.#begun += this.#decoder.push(part)
      // UTF-16 units, never more than the bytes they stand for.
      if (this.#begun.length > LONGEST_LINE_BYTES) throw lineTooLong()
      if (!this.#begun.endsWith('\n')) return
      const line = this.#begun.slice(0, -1)
      this.#begun = ''
      if (line.trim() !== '') yield line
    }
  }

  end(): string[] {
    const last = this.#begun + this.#decoder.end()
    this.#begun = ''
    return last.trim() === '' ? [] : [last]
  }
}
