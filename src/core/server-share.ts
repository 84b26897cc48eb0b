import type { Arrival } from './arrival.ts'
import type { ServerDurations } from './call.ts'
import type { Nanoseconds } from './clock.ts'
import type { PhaseName } from './record.ts'

/** From the start of sending a request to the first piece of its answer, as far as it was seen here. Whole ns on one scale. */
export interface Wait {
  /** The request was not on its way before this. */
  readonly from: Nanoseconds
  /** The kernel had all of it. Absent: not observed. */
  readonly sentAt: Nanoseconds | undefined
  readonly pieceAt: Nanoseconds
  /** Only where they may be used: see `whyUnused`. */
  readonly server: ServerDurations | undefined
  readonly requestBytes: number
  /** How the answer went on. Absent: not observed. */
  readonly doneAt: Nanoseconds | undefined
  readonly arrival: Arrival | undefined
}

/** What is known of a wait. The lengths sum to it. */
export interface Share {
  readonly sendNs: Nanoseconds
  readonly queueNs: Nanoseconds
  readonly loadNs: Nanoseconds
  readonly prefillNs: Nanoseconds
  /** What could be several things, and which. */
  readonly restNs: Nanoseconds
  readonly candidates: readonly PhaseName[]
}

/**
 * A request of up to so many bytes goes out in one flight (ten segments, RFC 6928) and a few more: what of it the kernel may still hold
 * behind `sentAt` matters to nobody.
 */
const ONE_FLIGHT_BYTES = 65_536

/** A queue is named where what could be something else is at most this share of it, and the decode is long enough to compare with. */
const DOUBT = 0.1
const SHORTEST_DECODE_NS = 20_000_000
const FEWEST_PIECES = 5
/** So much of the decode must have been seen as pieces that came one by one: then no first piece was held back for long. */
const SEEN = 0.75

/**
 * Splits a wait by what must have been. The load and the prefill that the server reports must have been before the first piece. All
 * else could be several things: a server's residual (total − load − prefill − decode) may lie before the first piece or after it;
 * what lies before may be a queue or the sampling of the first token, which servers count in different places; and a first piece may
 * have been held back on its way. The same figures come of each (docs/decisions/2026-11-30-forced-phases.md). A queue is named where
 * it is far longer than all that the answer took after it.
 */
export function shareOf(wait: Wait): Share {
  const { from, sentAt, pieceAt, server, requestBytes } = wait
  const isLarge = requestBytes > ONE_FLIGHT_BYTES
  const { loadNs, prefillNs } = server ?? {}
  const prefill = Math.min(whole(prefillNs), pieceAt - from)
  // Servers count from the first bytes of a request: what they call load may have been the rest of a large one coming in.
  const load = isLarge ? 0 : Math.min(whole(loadNs), pieceAt - from - prefill)
  // A mark is set after the fact, on a busy machine late: whoever loaded and read a prompt had the request by then.
  const sentBy = Math.max(from, Math.min(sentAt ?? from, pieceAt - load - prefill))
  const left = pieceAt - sentBy - load - prefill
  const queue = isLarge ? 0 : Math.min(forcedQueue(wait), left)
  const could = (name: PhaseName, holds: boolean): PhaseName[] => (holds ? [name] : [])
  return {
    sendNs: sentBy - from,
    queueNs: queue,
    loadNs: load,
    prefillNs: prefill,
    restNs: left - queue,
    candidates: [
      ...could('send', isLarge || sentAt === undefined),
      'server-queue',
      ...could('load', isLarge || loadNs === undefined),
      ...could('prefill', prefillNs === undefined),
      'first-token',
      'transport',
    ],
  }
}

/**
 * What must have been a wait at the server, ns; 0 where it may have been something else. All of the decode may have been before the first
 * piece, and all that was seen after it may have been pauses: only what is left of the residual without both is counted. Taken for
 * granted: no first token takes longer than the decode of all others, and nobody holds a first piece back for longer than that and
 * hands the others on at the server's pace.
 */
function forcedQueue({ pieceAt, server, doneAt, arrival }: Wait): Nanoseconds {
  const { totalNs, loadNs = 0, prefillNs, decodeNs } = server ?? {}
  if (totalNs === undefined || prefillNs === undefined || decodeNs === undefined) return 0
  if (doneAt === undefined || arrival === undefined || arrival.pieces < FEWEST_PIECES) return 0
  if (arrival.thoughts > 0 || decodeNs < SHORTEST_DECODE_NS) return 0
  if (arrival.lastAt - arrival.firstAt < SEEN * decodeNs) return 0
  const doubt = decodeNs + doneAt - pieceAt
  const queue = whole(totalNs - loadNs - prefillNs - doubt)
  return doubt <= DOUBT * queue ? queue : 0
}

const whole = (ns: Nanoseconds | undefined): Nanoseconds => Math.max(0, Math.round(ns ?? 0))
