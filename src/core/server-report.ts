import type { Arrival } from './arrival.ts'
import type { ServerDurations } from './call.ts'
import { type Nanoseconds, nsToMs } from './clock.ts'

/** One call as it was seen here, beside what its server reported of it. Instants are whole ns on one scale. */
export interface ReportedCall {
  readonly server: ServerDurations
  /** The request was not on its way before this: its connection was open, its slot ours. */
  readonly sendFrom: Nanoseconds
  /** The kernel had all of the request. Absent: not observed. */
  readonly sentAt?: Nanoseconds
  readonly doneAt?: Nanoseconds
  readonly arrival?: Arrival
  /** As the server counted. */
  readonly generatedTokens?: number
  /** A part of the answer was read up to so late; 0 by default. */
  readonly lateNs?: Nanoseconds
}

/** What two clocks, and the instant at which a mark is set, may differ by; a share, and a least length, ns. */
const NOISE = { share: 0.01, ns: 2_000_000 }
/** A figure is borne out by what was seen if it lies within this of it. */
const AGREES = { share: 0.1, ns: 5_000_000 }
/** Pieces that came over a shorter time tell nothing of the server's clock, ns. */
const SHORTEST_SPAN_NS = 12_000_000
const SPAN_AGREES = { share: 0.1, ns: 3_000_000 }

const room = ({ share, ns }: { share: number; ns: number }, of: Nanoseconds): Nanoseconds => Math.max(ns, share * of)

/**
 * Why the durations that a server reported are not used to explain where the time went; undefined where they may be. They are not used
 * where they contradict what was seen here or each other, and where nothing that was seen here bears them out: then a clock that runs at
 * half speed would look the same.
 */
export function whyUnused(call: ReportedCall): string | undefined {
  const { loadNs, prefillNs } = call.server
  if (loadNs === undefined && prefillNs === undefined) return undefined
  return contradiction(call) ?? partOfAnswer(call) ?? (isBorneOut(call) ? undefined : notBorneOut(call))
}

function contradiction({ server, sendFrom, doneAt, arrival }: ReportedCall): string | undefined {
  const { totalNs, loadNs = 0, prefillNs = 0, decodeNs = 0 } = server
  const exceeds = (longer: Nanoseconds, shorter: Nanoseconds) => longer > shorter + room(NOISE, longer)
  const parts = loadNs + prefillNs + decodeNs
  if (totalNs !== undefined && exceeds(parts, totalNs))
    return `its load, prefill and decode add up to ${ms(parts)}, and its total is ${ms(totalNs)}`
  if (totalNs !== undefined && doneAt !== undefined && exceeds(totalNs, doneAt - sendFrom))
    return `its total is ${ms(totalNs)}, and from the request to the last line it took ${ms(doneAt - sendFrom)}`
  if (arrival !== undefined && exceeds(loadNs + prefillNs, arrival.firstAt - sendFrom))
    return `its load and prefill took ${ms(loadNs + prefillNs)}, and the first piece came ${ms(arrival.firstAt - sendFrom)} after the request`
  return undefined
}

/** A server that thinks and then answers in a second pass reports the second pass alone. */
function partOfAnswer({ server, arrival, generatedTokens = Number.POSITIVE_INFINITY }: ReportedCall) {
  if (arrival === undefined || arrival.thoughts === 0) return undefined
  if (arrival.pieces > generatedTokens + 1)
    return `it counted ${generatedTokens} tokens and ${arrival.pieces} pieces came: it reports a part of the answer`
  const spanNs = arrival.lastAt - arrival.firstAt
  if (server.decodeNs === undefined || server.decodeNs >= spanNs - room(AGREES, spanNs)) return undefined
  return `its decode took ${ms(server.decodeNs)}, and thinking and text came over ${ms(spanNs)}: it may report a part of the answer`
}

/** Whether the client's own clock confirms a length that the server's clock measured. */
function isBorneOut({ server, sentAt, doneAt, arrival, lateNs = 0 }: ReportedCall): boolean {
  const { totalNs, loadNs = 0, prefillNs = 0, decodeNs } = server
  if (totalNs !== undefined && sentAt !== undefined && doneAt !== undefined) {
    const tookNs = doneAt - sentAt
    if (tookNs - totalNs <= room(AGREES, tookNs)) return true
  }
  if (arrival === undefined) return false
  if (decodeNs !== undefined && [arrival.lastAt - arrival.firstAt, arrival.steadyNs].some(isDecode)) return true
  if (sentAt === undefined) return false
  const waitNs = arrival.firstAt - sentAt
  return waitNs - loadNs - prefillNs <= room(AGREES, waitNs)

  /** Some servers count the step of the first token as decode. */
  function isDecode(spanNs: Nanoseconds): boolean {
    const stepNs = spanNs / Math.max(1, arrival!.pieces - 1)
    const off = room(SPAN_AGREES, spanNs)
    return (
      spanNs >= SHORTEST_SPAN_NS && lateNs <= off && decodeNs! >= spanNs - off && decodeNs! <= spanNs + stepNs + off
    )
  }
}

function notBorneOut({ server, sentAt, doneAt, arrival }: ReportedCall): string {
  const { totalNs, decodeNs } = server
  const took = sentAt === undefined || doneAt === undefined ? undefined : doneAt - sentAt
  const seen = [
    totalNs !== undefined && took !== undefined && `its total is ${ms(totalNs)}, and the call took ${ms(took)}`,
    decodeNs !== undefined &&
      arrival !== undefined &&
      `its decode took ${ms(decodeNs)}, and the pieces came over ${ms(arrival.lastAt - arrival.firstAt)}`,
  ].filter((one) => one !== false)
  return `nothing that was seen here bears its figures out${seen.length > 0 ? `: ${seen.join('; ')}` : ''}`
}

/** Like `12.3 ms`. */
const ms = (ns: Nanoseconds): string => `${Number(nsToMs(ns).toFixed(1))} ms`
