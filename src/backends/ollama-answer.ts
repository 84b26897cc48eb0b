import type { CallEnd, GenerateContext } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import type { AnswerReader } from './http-send.ts'
import { type AnswerLine, LineSplitter, parseLine } from './ollama-lines.ts'

/** Reads a streamed answer up to its last line; an answer without one ends in `CAESURA_E_STREAM_CUT`. `begun` is told at each line. */
export function streamedAnswer(address: string, context: GenerateContext, begun: () => void): AnswerReader<CallEnd> {
  const splitter = new LineSplitter()
  const take = (lines: Iterable<string>): CallEnd | undefined => {
    for (const text of lines) {
      context.signal.throwIfAborted()
      const line = parseLine(text)
      begun()
      // The last line has no text, and some lines are empty.
      if (line.message.thinking) context.thinking(line.message.thinking)
      if (line.message.content) context.token(line.message.content)
      if (!line.done) continue
      context.signal.throwIfAborted()
      context.mark('done')
      return completed(line)
    }
    return undefined
  }
  return {
    push: (bytes) => take(splitter.push(bytes)),
    end(fault) {
      if (fault !== undefined) throw fault
      const end = take(splitter.end().filter(isWhole))
      if (end !== undefined) return end
      throw new CaesuraError('CAESURA_E_STREAM_CUT', `the answer of ${address} ended without its last line`)
    },
  }
}

/** Whether what stands after the last line break is a line: false for the beginning of a JSON object that was cut. */
function isWhole(line: string): boolean {
  if (!line.trimStart().startsWith('{')) return true
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}

/** Go leaves zeros out and 0.24 reports no decode time for a single token: what is absent stays absent. */
function completed(last: AnswerLine): CallEnd {
  const { done_reason: reason } = last
  const server = {
    ...(last.total_duration !== undefined && { totalNs: last.total_duration }),
    ...(last.load_duration !== undefined && { loadNs: last.load_duration }),
    ...(last.prompt_eval_duration !== undefined && { prefillNs: last.prompt_eval_duration }),
    ...(last.eval_duration !== undefined && { decodeNs: last.eval_duration }),
  }
  return {
    end: 'completed',
    ...((reason === 'stop' || reason === 'length') && { finishReason: reason }),
    ...(last.prompt_eval_count !== undefined && { promptTokens: last.prompt_eval_count }),
    ...(last.eval_count !== undefined && { generatedTokens: last.eval_count }),
    ...(Object.keys(server).length > 0 && { server }),
  }
}
