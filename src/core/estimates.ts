import { type Nanoseconds, nsToMs } from './clock.ts'
import type { Transcript } from './transcript.ts'

/** What is known of a model on a node before any call was observed. All in ms. */
export interface Priors {
  readonly firstTokenMs: number
  readonly msPerToken: number
  readonly abortLagMs: number
  /** Tokens of a whole answer. */
  readonly answerTokens: number
  readonly source: 'probe' | 'prior'
}

/** Without a probe: a small model on a modest GPU (benchmarking facts: first token 15–60 ms, 10–20 ms a token on 1–3B models). */
export const defaultPriors: Priors = {
  firstTokenMs: 100,
  msPerToken: 15,
  abortLagMs: 30,
  answerTokens: 128,
  source: 'prior',
}

/** What is expected of a call in flight. */
export interface Expectation {
  /** Until it ends by itself, ms. */
  readonly restMs: number
  /** Tokens of text until then. Absent where it has ended. */
  readonly restTokens?: number
  /** From a cancel to its settlement, ms. */
  readonly abortLagMs: number
  /** In words, for the record. */
  readonly basis: string
}

/** Lengths of the newest answers that are kept for one model on one node. */
const MOST_LENGTHS = 64
/** Models × nodes that are kept; the one that was not asked for longest goes first. */
const MOST_KEYS = 256
/** The weight of the newest observation in a moving average. */
const WEIGHT = 0.2

class Observations {
  /** Pieces of text, of answers that ended by themselves. */
  readonly lengths: number[] = []
  /** Pieces of thinking before them, of calls that were free to think. */
  readonly thoughts: number[] = []
  msPerToken: number | undefined
  firstPieceMs: number | undefined
  abortLagMs: number | undefined
  /** Of answers that the server counted. */
  countedTokens = 0
  countedPieces = 0

  average(name: 'msPerToken' | 'firstPieceMs' | 'abortLagMs', ms: number): void {
    const before = this[name]
    this[name] = before === undefined ? ms : before + WEIGHT * (ms - before)
  }
}

/**
 * Learns how long answers and the thinking before them are, what a token takes and how fast a cancel settles, for each model on each node:
 * moving averages and rings of lengths, so bounded memory and constant time. Not pure, but what it answers depends only on what it was told.
 */
export class Estimates {
  readonly #known = new Map<string, Observations>()
  readonly #priors: (model: string, node: string) => Priors

  constructor(priors: (model: string, node: string) => Priors = () => defaultPriors) {
    this.#priors = priors
  }

  /** Learns from a call that has settled. */
  observe(transcript: Transcript): void {
    const { request, node, ledger, pieces, thoughts, end, settlement, lastPieceAt } = transcript
    const slotAt = ledger.at('slot-acquired')
    if (node === undefined || slotAt === undefined || settlement === 'failed') return
    const seen = this.#observations(request.model, node)
    // Thinking takes its time like text, before it and between.
    const firstPieceAt = ledger.at('first-piece') ?? ledger.at('first-token')
    if (firstPieceAt !== undefined) seen.average('firstPieceMs', nsToMs(firstPieceAt - slotAt))
    if (firstPieceAt !== undefined && lastPieceAt !== undefined && pieces + thoughts > 1) {
      seen.average('msPerToken', nsToMs(lastPieceAt - firstPieceAt) / (pieces + thoughts - 1))
    }
    const tokens = tokensOfPieces(transcript)
    if (tokens !== undefined) {
      seen.countedTokens += tokens
      seen.countedPieces += pieces + thoughts
    }
    const [abortAt, settledAt] = [ledger.at('abort-requested'), ledger.at('settled')]
    if (abortAt !== undefined && settledAt !== undefined && end?.end === 'cancelled') {
      seen.average('abortLagMs', nsToMs(settledAt - abortAt))
    }
    if (end?.end === 'completed') {
      note(seen.lengths, pieces)
      if (request.think !== false) note(seen.thoughts, thoughts)
    }
  }

  /** Tokens a piece of this call's model on its node; undefined where no answer was seen there that its server counted. */
  tokensPerPiece({ request, node }: Transcript): number | undefined {
    const seen = node === undefined ? undefined : this.#known.get(key(request.model, node))
    return seen === undefined || seen.countedPieces === 0 ? undefined : seen.countedTokens / seen.countedPieces
  }

  /** What is to be expected of a call at `now`, an instant of its run. */
  expect({ request, node, ledger, pieces, thoughts }: Transcript, now: Nanoseconds): Expectation {
    const where = node ?? 'any'
    const seen = this.#known.get(key(request.model, where))
    const priors = this.#priors(request.model, where)
    const longer = longerThan(pieces, seen?.lengths)
    // The limit is of tokens, and of thinking too.
    const perPiece = seen === undefined || seen.countedPieces === 0 ? 1 : seen.countedTokens / seen.countedPieces
    const limit = (request.options.maxTokens ?? Number.POSITIVE_INFINITY) / perPiece
    const whole = longer.length > 0 ? mean(longer) : Math.max(priors.answerTokens, pieces + 1)
    // With the first text the thinking is over.
    const thinking = pieces > 0 || request.think === false ? undefined : longerThan(thoughts, seen?.thoughts)
    const wholeThinking = thinking === undefined ? thoughts : thinkingOf(thinking, thoughts, seen, priors)
    const restThoughts = Math.max(0, Math.min(wholeThinking, limit) - thoughts)
    const restText = Math.max(0, Math.min(whole, limit - thoughts - restThoughts) - pieces)
    const msPerToken = seen?.msPerToken ?? priors.msPerToken
    const slotAt = ledger.at('slot-acquired') ?? now
    const waited = nsToMs(now - slotAt)
    const untilFirst = pieces + thoughts > 0 ? 0 : Math.max(0, (seen?.firstPieceMs ?? priors.firstTokenMs) - waited)
    const prior = priors.source === 'probe' ? 'from the probe' : 'by stated priors'
    const ofText =
      longer.length > 0
        ? `${longer.length} answers longer than ${pieces} tokens observed`
        : `no longer answer observed, so ${prior}`
    const ofThinking =
      thinking === undefined || thoughts === 0
        ? ''
        : thinking.length > 0
          ? `; it thinks: ${thinking.length} longer than ${thoughts} tokens observed`
          : '; it thinks, and no longer thinking was observed'
    return {
      restMs: untilFirst + (restThoughts + restText) * msPerToken,
      restTokens: restText,
      abortLagMs: seen?.abortLagMs ?? priors.abortLagMs,
      basis: ofText + ofThinking,
    }
  }

  #observations(model: string, node: string): Observations {
    const name = key(model, node)
    const seen = this.#known.get(name) ?? new Observations()
    // A Map keeps the order of insertion: what is used goes to the end.
    this.#known.delete(name)
    this.#known.set(name, seen)
    const [oldest] = this.#known.keys()
    if (this.#known.size > MOST_KEYS && oldest !== undefined) this.#known.delete(oldest)
    return seen
  }
}

function note(ring: number[], length: number): void {
  ring.push(length)
  if (ring.length > MOST_LENGTHS) ring.shift()
}

const longerThan = (length: number, ring: readonly number[] = []): number[] => ring.filter((known) => known > length)

const mean = (lengths: readonly number[]): number => lengths.reduce((sum, length) => sum + length, 0) / lengths.length

/**
 * How long a thinking will be in all that has come so far. Before its first piece it is as long as those of all answers, with those that
 * did not think. One that is longer than all that was observed, or the first one, is taken to be as long as an answer.
 */
function thinkingOf(longer: readonly number[], soFar: number, seen: Observations | undefined, priors: Priors): number {
  if (soFar === 0) return seen === undefined || seen.thoughts.length === 0 ? 0 : mean(seen.thoughts)
  return longer.length > 0 ? mean(longer) : Math.max(priors.answerTokens, soFar + 1)
}

/** The tokens that a call's pieces were; undefined where they are not known, or where some of them came in no piece. */
function tokensOfPieces({ end, pieces, thoughts }: Transcript): number | undefined {
  const all = pieces + thoughts
  const { generatedTokens: told = 0, finishReason, thinkingTokens, toolCalls } = end ?? {}
  if (end?.end !== 'completed' || pieces === 0 || told < all) return undefined
  // What was thought in silence, and what a tool call was made of, are tokens without pieces.
  if (toolCalls !== undefined || (thinkingTokens !== undefined && thinkingTokens > 0 && thoughts === 0))
    return undefined
  // The token that ends an answer is counted by some servers, and has no piece.
  return finishReason === 'length' || told === all ? told : told - 1
}

const key = (model: string, node: string): string => `${model}\n${node}`
