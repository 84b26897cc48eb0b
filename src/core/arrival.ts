import type { Nanoseconds } from './clock.ts'
import type { Transcript } from './transcript.ts'

/** How the pieces of an answer came, as it was seen here. Instants are ns from the run's start. */
export interface Arrival {
  /** Text and thinking. */
  readonly pieces: number
  readonly thoughts: number
  readonly firstAt: Nanoseconds
  readonly lastAt: Nanoseconds
  /**
   * First piece → last piece, without the longest pause between two of them: what is left of a decode that paused once. The whole
   * span where the model thought, because the instants of single thoughts are not kept.
   */
  readonly steadyNs: Nanoseconds
}

/** Undefined where no piece came. */
export function arrivalOf({ ledger, generated, thoughts, pieces, lastPieceAt }: Transcript): Arrival | undefined {
  const { times } = generated
  const firstAt = ledger.at('first-piece') ?? times[0]
  const lastAt = lastPieceAt ?? times.at(-1)
  if (firstAt === undefined || lastAt === undefined) return undefined
  const gaps = times.slice(1).map((at, index) => at - times[index]!)
  const pauseNs = thoughts > 0 ? 0 : longestBeyondMedian(gaps)
  return { pieces: pieces + thoughts, thoughts, firstAt, lastAt, steadyNs: lastAt - firstAt - pauseNs }
}

function longestBeyondMedian(gaps: Nanoseconds[]): Nanoseconds {
  if (gaps.length < 3) return 0
  const sorted = gaps.toSorted((a, b) => a - b)
  return sorted.at(-1)! - sorted[Math.floor(sorted.length / 2)]!
}

/** An answer of fewer pieces may well come at once. */
const FEWEST_PIECES = 5
/** A span in which nothing is decoded piece by piece, ns. */
const AT_ONCE_NS = 5_000_000
/** So many times longer must be what the span is compared with. */
const FAR_LONGER = 8

/**
 * Whether the pieces came all at once though they were made one by one, or after a long wait: something between here and the model
 * held them back and handed them over together. `decodeNs`: as the server reports it. `sentAt`: the request was written.
 */
export function cameAtOnce(arrival: Arrival, sentAt?: Nanoseconds, decodeNs?: Nanoseconds): boolean {
  const spanNs = arrival.lastAt - arrival.firstAt
  const madeInNs = decodeNs ?? (sentAt === undefined ? 0 : arrival.firstAt - sentAt)
  return arrival.pieces >= FEWEST_PIECES && madeInNs > FAR_LONGER * Math.max(spanNs, AT_ONCE_NS)
}
