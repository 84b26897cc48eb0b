import type { CallEnd } from '../../core/call.ts'
import { CaesuraError } from '../../core/errors.ts'
import { type AnswerCall, AnswerState } from './answer-state.ts'
import { AnswerFault } from './http-errors.ts'
import type { AnswerReader } from './http-send.ts'
import { type AnswerLine, LineSplitter, parseLine } from './ollama-lines.ts'
import { faultInAnswer } from './server-words.ts'
import { LONGEST_LINE_BYTES, lineTooLong } from './utf8-stream.ts'

/** After so many equal pieces in a row, spaces aside, Ollama ends an answer without a last line. */
const MOST_EQUAL = 30

/** Reads a streamed answer up to its last line; an answer without one ends in `CAESURA_E_STREAM_CUT`. */
export function streamedAnswer(call: AnswerCall): AnswerReader<CallEnd> {
  const { address, context } = call
  const answer = new AnswerState(call)
  const splitter = new LineSplitter(() => call.heartbeat())
  const repeated = new Repetition()
  /** An answer in one piece that is spread over several lines. */
  let spread: string | undefined
  let lines = 0

  const takeLine = (line: AnswerLine): CallEnd | undefined => {
    call.begun()
    answer.say(line.said)
    answer.noteTools(line.message, true)
    repeated.see((line.said.text || line.said.thinking).trim())
    if (line.error !== undefined) throw faultInAnswer(line.error, answer.hasBegun)
    if (!line.isLast) return undefined
    const finish = answer.finish(line.reason)
    // A server that has only loaded or unloaded the model has answered nothing.
    if (!answer.hasBegun && /^(un)?load$/.test(finish?.said ?? ''))
      throw faultInAnswer(
        { message: 'it loaded or unloaded the model and generated nothing', kind: finish!.said },
        false,
      )
    return answer.end(finish, line)
  }
  const take = (texts: Iterable<string>): CallEnd | undefined => {
    for (const text of texts) {
      context.signal.throwIfAborted()
      if (spread !== undefined || (lines === 0 && text === '{')) {
        spread = `${spread ?? ''}${text}\n`
        if (spread.length > LONGEST_LINE_BYTES) throw lineTooLong()
        continue
      }
      const end = takeLine(lineOf(text, lines > 0))
      lines += 1
      if (end !== undefined) return end
    }
    return undefined
  }
  return {
    push: (bytes) => take(splitter.push(bytes)),
    end(fault) {
      if (fault !== undefined) throw fault
      const rest = splitter.end()
      const end = spread === undefined ? take(rest.filter(isWhole)) : takeLine(parseLine(spread + rest.join('')))
      if (end !== undefined) return end
      const message = `the answer of ${address} ended without its last line`
      if (!repeated.isLong) throw new CaesuraError('CAESURA_E_STREAM_CUT', message)
      const why = `the model had said the same piece ${repeated.count} times in a row, at which Ollama gives an answer up`
      throw new AnswerFault('CAESURA_E_STREAM_CUT', `${message}: ${why}`)
    },
  }
}

/** Reads one line. Behind good ones a line of another shape is a fault of this answer, and not of the server. */
function lineOf(text: string, hasBegun: boolean): AnswerLine {
  try {
    return parseLine(text)
  } catch (error) {
    throw hasBegun ? AnswerFault.of(error) : error
  }
}

/** How often the same piece came at the end of an answer. */
class Repetition {
  #last = ''
  count = 0

  get isLong(): boolean {
    return this.count > MOST_EQUAL
  }

  /** `piece` without the spaces around it. */
  see(piece: string): void {
    if (piece === '') return
    this.count = piece === this.#last ? this.count + 1 : 1
    this.#last = piece
  }
}

/** Whether what stands after the last line break is a line: false for the beginning of a JSON object that was cut. */
function isWhole(line: string): boolean {
  if ('data:'.startsWith(line)) return false
  if (!line.startsWith('{')) return true
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}
