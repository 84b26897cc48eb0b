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
  readonly lengths: number[] = []
  msPerToken: number | undefined
  firstTokenMs: number | undefined
  abortLagMs: number | undefined
  /** Of answers that the server counted. */
  countedTokens = 0
  countedPieces = 0

  average(name: 'msPerToken' | 'firstTokenMs' | 'abortLagMs', ms: number): void {
    const before = this[name]
    this[name] = before === undefined ? ms : before + WEIGHT * (ms - before)
  }
}

/**
 * Learns how long answers are, what a token takes and how fast a cancel settles, for each model on each node: moving averages and
 * a ring of answer lengths, so bounded memory and constant time. Not pure, but what it answers depends only on what it was told.
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
    const firstTokenAt = ledger.at('first-token')
    if (firstTokenAt !== undefined) seen.average('firstTokenMs', nsToMs(firstTokenAt - slotAt))
    // Thinking takes its time like text, before it and between.
    const firstPieceAt = ledger.at('first-piece') ?? firstTokenAt
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
      seen.lengths.push(pieces)
      if (seen.lengths.length > MOST_LENGTHS) seen.lengths.shift()
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
    const longer = seen?.lengths.filter((length) => length > pieces) ?? []
    // The limit is of tokens, and of thinking too.
    const perPiece = seen === undefined || seen.countedPieces === 0 ? 1 : seen.countedTokens / seen.countedPieces
    const limit = (request.options.maxTokens ?? Number.POSITIVE_INFINITY) / perPiece - thoughts
    const whole =
      longer.length > 0
        ? longer.reduce((sum, length) => sum + length, 0) / longer.length
        : Math.max(priors.answerTokens, pieces + 1)
    const restTokens = Math.max(0, Math.min(whole, limit) - pieces)
    const msPerToken = seen?.msPerToken ?? priors.msPerToken
    const slotAt = ledger.at('slot-acquired') ?? now
    const untilFirst = pieces > 0 ? 0 : Math.max(0, (seen?.firstTokenMs ?? priors.firstTokenMs) - nsToMs(now - slotAt))
    const basis =
      longer.length > 0
        ? `${longer.length} answers longer than ${pieces} tokens observed`
        : `no longer answer observed, so ${priors.source === 'probe' ? 'from the probe' : 'by stated priors'}`
    const abortLagMs = seen?.abortLagMs ?? priors.abortLagMs
    return { restMs: untilFirst + restTokens * msPerToken, restTokens, abortLagMs, basis }
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
