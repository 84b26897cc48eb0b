import { randomInt } from 'node:crypto'
import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from 'node-llama-cpp'
import type { CallEnd, GenerationOptions } from '../../core/call.ts'
import { StopFilter, TokenText } from './answer-text.ts'
import type { LlamaEngine } from './llama-cpp-engine.ts'
import { commonPrefix } from './llama-cpp-slots.ts'

const SEED_LIMIT = 2 ** 32

/** How a call stands that may be cut: its numbers are right at every moment. */
export interface Progress {
  promptTokens?: number
  generatedTokens?: number
}

/**
 * Brings the sequence's memory from what it holds to the whole prompt but its last token, which the first step of the decode
 * reads. What both have in common at their start stays. Between pieces of `batchTokens` the signal is looked at: a piece
 * cannot be cut. Returns whether it came to the end.
 */
export async function prefill(
  sequence: LlamaContextSequence,
  prompt: readonly Token[],
  batchTokens: number,
  signal: AbortSignal,
): Promise<boolean> {
  const last = prompt.length - 1
  const kept = Math.min(commonPrefix(sequence.contextTokens, prompt), last)
  await sequence.eraseContextTokenRanges([{ start: kept, end: sequence.nextTokenIndex }])
  // Where a model's memory cannot be cut there, less is left than was asked for.
  for (let at = sequence.nextTokenIndex; at < last; at = sequence.nextTokenIndex) {
    if (signal.aborted) return false
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, Math.min(at + batchTokens, last)))
  }
  return !signal.aborted
}

/**
 * Generates after a prefill. The signal is looked at after each token. Without `maxTokens` (or with 0, as for Ollama) the
 * answer may fill the window; the window is never shifted.
 */
export async function decode(
  { model }: LlamaEngine,
  sequence: LlamaContextSequence,
  prompt: readonly Token[],
  windowTokens: number,
  options: GenerationOptions,
  signal: AbortSignal,
  token: (text: string) => void,
  progress: Progress,
): Promise<CallEnd> {
  const text = new TokenText<Token>((tokens, before) => model.detokenize(tokens, false, before), prompt)
  const filter = new StopFilter(options.stop)
  const limit = Math.min(options.maxTokens || Number.POSITIVE_INFINITY, windowTokens - prompt.length)
  const emit = (piece: string) => {
    if (piece !== '' && !signal.aborted) token(piece)
  }
  let count = 0
  let finishReason: 'stop' | 'length' = 'stop'
  for await (const id of sequence.evaluate(prompt.slice(-1), evaluateOptions(options))) {
    if (model.isEogToken(id)) break
    count += 1
    progress.generatedTokens = count
    if (signal.aborted) break
    const { text: piece, stopped } = filter.push(text.push(id))
    emit(piece)
    if (stopped) return finish()
    if (count >= limit) {
      finishReason = 'length'
      break
    }
  }
  emit(filter.end())
  return finish()

  function finish(): CallEnd {
    return signal.aborted ? { end: 'cancelled' } : { end: 'completed', finishReason }
  }
}

function evaluateOptions(options: GenerationOptions): SequenceEvaluateOptions {
  const { temperature = 0.8, topK = 40, topP = 0.9, seed } = options
  return {
    temperature,
    topK,
    topP,
    minP: 0,
    // The package's default is the time in seconds: two calls within one would say the same.
    seed: seed === undefined || seed < 0 ? randomInt(SEED_LIMIT) : seed % SEED_LIMIT,
    // An end-of-generation token ends the iteration here, not inside, where an end by a failure looks the same.
    yieldEogToken: true,
  }
}
