import { randomInt } from 'node:crypto'
import type { LlamaContextSequence, LlamaGrammarEvaluationState, SequenceEvaluateOptions, Token } from 'node-llama-cpp'
import type { CallEnd, GenerateContext, GenerationOptions } from '../../core/call.ts'
import { StopFilter, TokenText } from './answer-text.ts'
import type { LlamaEngine } from './llama-cpp-engine.ts'
import { commonPrefix } from './llama-cpp-slots.ts'
import { type SplitPiece, type ThoughtMarks, ThoughtSplitter } from './thought-splitter.ts'

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

/** What an answer is generated from, and how. */
export interface Asked {
  readonly prompt: readonly Token[]
  readonly windowTokens: number
  readonly options: GenerationOptions
  /** How thinking is marked, of a model that is asked to think. */
  readonly thoughts?: ThoughtMarks
  /** What holds its text to a format; thinking is free. */
  readonly grammar?: LlamaGrammarEvaluationState
}

/** Who hears of an answer. */
export interface Hearer extends Pick<GenerateContext, 'token' | 'thinking'> {
  readonly signal: AbortSignal
  readonly progress: Progress
}

/**
 * Generates after a prefill. The signal is looked at after each token. Without `maxTokens` (or with 0, as for Ollama) the
 * answer may fill the window; the window is never shifted.
 */
export async function decode(
  { model }: Pick<LlamaEngine, 'model'>,
  sequence: LlamaContextSequence,
  { prompt, windowTokens, options, thoughts, grammar }: Asked,
  { signal, token, thinking, progress }: Hearer,
): Promise<CallEnd> {
  // The marks of thinking are special tokens of some models.
  const showsSpecial = thoughts !== undefined
  const written = new TokenText<Token>((tokens, before) => model.detokenize(tokens, showsSpecial, before), prompt)
  const splitter = thoughts && new ThoughtSplitter(thoughts)
  const filter = new StopFilter(options.stop)
  const limit = Math.min(options.maxTokens || Number.POSITIVE_INFINITY, windowTokens - prompt.length)
  const tell = (piece: string, hear: (text: string) => void) => {
    if (piece !== '' && !signal.aborted) hear(piece)
  }
  /** Whether a stop sequence ends the answer with this piece. */
  const take = ({ thinking: thought, text }: SplitPiece): boolean => {
    tell(thought, thinking)
    const { text: safe, stopped } = filter.push(text)
    tell(safe, token)
    return stopped
  }
  const evaluation = {
    ...evaluateOptions(options),
    ...(grammar && { grammarEvaluationState: () => (splitter === undefined || splitter.isText ? grammar : undefined) }),
  }
  let count = 0
  let finishReason: 'stop' | 'length' = 'stop'
  for await (const id of sequence.evaluate(prompt.slice(-1), evaluation)) {
    if (model.isEogToken(id)) break
    count += 1
    progress.generatedTokens = count
    if (signal.aborted) break
    const piece = written.push(id)
    if (take(splitter?.push(piece) ?? { thinking: '', text: piece })) return finish()
    if (count >= limit) {
      finishReason = 'length'
      break
    }
  }
  if (splitter !== undefined && take(splitter.end())) return finish()
  tell(filter.end(), token)
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
