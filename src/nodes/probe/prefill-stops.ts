import type { ProbeResult } from '../../core/probe.ts'
import { type Findings, hiddenBoundMs, type PrefillAbort } from './findings.ts'
import { medianOf, rangeOf, slopeOf } from './samples.ts'
import { TWO_BATCHES_TOKENS } from './speed.ts'

/** What the aborts tell: how the prefill stops, or why that is not known, as the end of a sentence. */
export type PrefillVerdict =
  | { readonly stops: NonNullable<ProbeResult['prefillStops']> }
  | { readonly why: string; readonly stops?: undefined }

/** Shares of the whole prefill. A difference below the first is noise: it is 10 of 1,000 tokens. */
const NOISE = 0.01
const MOST_NOISE = 0.1
/** The aborts have to lie so far apart for the lag to tell whether it follows what was left. */
const APART = 0.25
/** The least and the most that the lag grows with each ms that was left, where the prefill runs to its end. */
const SLOPE = [0.85, 1.2] as const
/** A lag may miss what was left, and what the server needs in decode, by so much. */
const MISSED = 0.08
/** A slot that was free so much before the end of the prefill was not busy with it. */
const STOPPED = 0.1
/** So many of the aborts must have seen that, and two at least: one alone may have come before its prefill began. */
const STOPPED_PART = 1 / 3
/** Fewer may by chance all lie at the same place of a batch. */
const ABORTS_OF_AT_ONCE = 5
/** Two aborts that lie closer together than this part of the prompt have different lags in any server that reads so much at once. */
const SMALLEST_PART = 0.05

/** What the aborts have in common; ms. */
interface Seen {
  readonly aborts: readonly PrefillAbort[]
  readonly lags: readonly number[]
  /** Of the whole prefill. */
  readonly prefillMs: number
  /** What was left at an abort is known so well, and no better. */
  readonly spreadMs: number
  readonly noise: number
  /** A lag up to this is not seen. */
  readonly hidden: number
  /** In decode; empty where none was seen. */
  readonly decode: readonly number[]
}

/**
 * Whether the server stops a prefill, by how the lag changes with what was left of it. A server may need as long after any abort:
 * that is no property of the prefill, so what the lag is in decode is taken away.
 * - `never`: the lag is what was left, and what it is in decode.
 * - `at-once`: the lag is that of decode, wherever the abort came.
 * - `between-batches`: the slot was free before the end of the prompt, and yet the lag neither stays the same nor shrinks steadily
 *   with what was left: it begins anew, as it does where a part ends.
 *
 * Undefined where no abort was seen.
 */
export function judgePrefill(findings: Findings): PrefillVerdict | undefined {
  const { long, firstToken, prefillAborts: aborts, lags } = findings
  if (long === undefined || aborts.length === 0) return undefined
  const { prefillMs, spreadMs, tokens = 0 } = long
  const idle = medianOf(firstToken) ?? 0
  const spread = medianOf(firstToken.map((ms) => Math.abs(ms - idle))) ?? 0
  const seen: Seen = {
    aborts,
    lags: aborts.map(({ lagMs }) => Math.max(0, lagMs)),
    prefillMs,
    spreadMs,
    noise: Math.max(NOISE * prefillMs, Math.min(2 * spread, MOST_NOISE * prefillMs)),
    hidden: hiddenBoundMs(findings),
    decode: lags.decode.map((lag) => Math.max(0, lag)),
  }
  if (runsToItsEnd(seen))
    return tokens >= TWO_BATCHES_TOKENS
      ? { stops: 'never' }
      : {
          why: `it ran to its end, but the prompt${tokens === 0 ? '' : ` of ${tokens} tokens`} may be a single batch, which no server stops. A longer one needs a larger --budget or context window.`,
        }
  if (aborts.length < 2) return { why: 'too few aborts were seen.' }
  const early = STOPPED * prefillMs + spreadMs
  const stopped = seen.lags.filter((lag, index) => lag + seen.hidden < aborts[index]!.restMs - early)
  const isStopped = stopped.length >= Math.max(2, STOPPED_PART * aborts.length)
  if (isStopped && waitsForParts(seen)) return { stops: 'between-batches' }
  return isStopped && isAsInDecode(seen) ? { stops: 'at-once' } : { why: unclear(seen) }
}

/** The lag is what was left of the prompt, and beyond that what it is in decode. */
function runsToItsEnd({ aborts, prefillMs, noise, hidden, decode }: Seen): boolean {
  const visible = aborts.filter(({ lagMs }) => lagMs > noise)
  if (visible.length < 2 || visible.length < aborts.length / 2) return false
  if (rangeOf(visible.map(({ restMs }) => restMs)) < APART * prefillMs) return false
  const slope = slopeOf(visible.map(({ restMs, lagMs }) => [restMs, lagMs] as const)) ?? 0
  if (slope < SLOPE[0] || slope > SLOPE[1]) return false
  // What the call that looks for the slot does not see is missing from its lag.
  const beyond = medianOf(visible.map(({ restMs, lagMs }) => lagMs + hidden - restMs)) ?? 0
  const isDecodeSeen = decode.length > 0 && (medianOf(decode) ?? 0) > noise
  const inDecode = isDecodeSeen ? (medianOf(decode) ?? 0) + hidden : 0
  return beyond >= inDecode - MISSED * prefillMs
}

/**
 * Most waited longer than in decode, and a later abort longer than an earlier one, or the waits lie on no line over what was left:
 * all that grows or shrinks with the rest of the prompt, or is always the same, lies on one.
 */
function waitsForParts({ aborts, lags, noise, spreadMs, decode }: Seen): boolean {
  if (aborts.length < 3) return false
  const usual = medianOf(decode) ?? 0
  if ((medianOf(lags) ?? 0) <= usual + noise) return false
  const rise = 2 * Math.max(noise, spreadMs, rangeOf(decode))
  const isLongerLater = aborts.some((early, index) =>
    aborts.some((late, other) => late.restMs < early.restMs && lags[other]! > lags[index]! + rise),
  )
  return isLongerLater || bendOf(aborts.filter(({ lagMs }) => lagMs > noise)) > rise
}

/** How far lags lie from a line over what was left, ms; 0 where there are too few of them to tell. */
function bendOf(aborts: readonly PrefillAbort[]): number {
  const slope = slopeOf(aborts.map(({ restMs, lagMs }) => [restMs, lagMs] as const))
  if (aborts.length < 4 || slope === undefined) return 0
  return rangeOf(aborts.map(({ restMs, lagMs }) => lagMs - slope * restMs))
}

/** Wherever the abort came, the slot was free as soon as in decode. */
function isAsInDecode({ aborts, lags, prefillMs, noise, hidden, decode }: Seen): boolean {
  if (aborts.length < ABORTS_OF_AT_ONCE || rangeOf(aborts.map(({ restMs }) => restMs)) < APART * prefillMs) return false
  if (rangeOf(lags) > noise) return false
  const rests = aborts.map(({ restMs }) => restMs)
  const isClose = (ms: number) => ms > 2 * noise && ms < SMALLEST_PART * prefillMs - 1.5 * noise
  if (!rests.some((one) => rests.some((other) => isClose(one - other)))) return false
  // A part that takes less than the call that looks for the slot needs to get there is not seen.
  if (hidden > noise && Math.min(...lags) <= noise) return false
  return decode.length > 0 ? Math.max(...lags) <= Math.max(...decode) + noise : Math.max(...lags) + hidden <= noise
}

function unclear({ aborts, lags, noise, hidden, decode }: Seen): string {
  const shown = (ms: number) => `${Number(ms.toPrecision(2))} ms`
  if (hidden > noise && Math.min(...lags) <= noise)
    return `the slot was free before the call that looked for it got there, which takes up to ${shown(hidden)}.`
  if (aborts.length < ABORTS_OF_AT_ONCE) return 'too few aborts were seen.'
  if (rangeOf(lags) <= noise)
    return decode.length === 0
      ? `the slot was free ${shown(medianOf(lags) ?? 0)} after an abort, wherever in the prompt that came, and what it is in decode was not seen.`
      : `the slot was free equally late wherever in the prompt the abort came (${shown(medianOf(lags) ?? 0)}), but sooner in decode.`
  return 'the time from the abort to the free slot follows neither what was left of the prompt nor the end of a part of it.'
}
