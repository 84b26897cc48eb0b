import { type Nanoseconds, NS_PER_MS, nsToMs } from './clock.ts'
import type { Expectation } from './estimates.ts'
import { numberWithin } from './number-schema.ts'
import type { Transcript } from './transcript.ts'

/** How the text of a stage reaches its reader, where that takes time. Plain JSON. */
export interface Speaking {
  /** Tokens a second that are handed to the reader. Absent: all at once, as they come. */
  readonly pace?: number
  /** The reader acknowledges what was seen or heard, and the stage lasts until all of it is. */
  readonly heard?: true
  /** How long the stage waits for the next acknowledgement, ms. */
  readonly heardWithinMs: number
}

/** Without `heardWithin`, ms. */
export const HEARD_WITHIN_MS = 10_000

/** What a reader says to have seen or heard of one call. */
export interface Acknowledgement {
  /** The call that spoke last by default. */
  readonly callId?: string | undefined
  /** UTF-16 units of the call's text, from its beginning. */
  readonly characters: number
}

/** What became of an acknowledgement. */
export type AcknowledgementAnswer =
  | { readonly accepted: true }
  /** `CAESURA_E_RUN_ENDED`: the run had ended. Without a code: the run has said nothing yet, or made no such call. */
  | { readonly accepted: false; readonly code?: 'CAESURA_E_RUN_ENDED'; readonly reason: string }

const SLOWEST_PACE = 0.1
const FASTEST_PACE = 10_000

/** Tokens a second. */
export const paceSchema = numberWithin(SLOWEST_PACE, FASTEST_PACE)

/** Time between two tokens at this pace. */
export const intervalOf = (pace: number): Nanoseconds => Math.round((1000 / pace) * NS_PER_MS)

/** A piece in the parts that are handed out one after the other: a word with the space before it is the smallest. */
export const partsOf = (piece: string): readonly string[] =>
  piece.length < SHORT_PIECE ? [piece] : (piece.match(/\s*\S+(?:\s+$)?|\s+$/g) ?? [piece])

/** No longer piece is one token of a common vocabulary with certainty, so a longer one is looked at. */
const SHORT_PIECE = 5

/**
 * What is to be expected of a call whose text is handed out at a pace: all that was generated is spoken, and what is still to be generated
 * as well. A call that has ended generates nothing more, and there is nothing to cancel.
 */
export function withSpeech(expected: Expectation, call: Transcript, speaking: Speaking | undefined): Expectation {
  const { text, spoken, end } = call
  if (speaking?.pace === undefined || spoken === undefined) return expected
  const stepMs = nsToMs(intervalOf(speaking.pace))
  const spokenMs = partsOf(text.slice(spoken)).length * stepMs
  const basis = `spoken at ${speaking.pace} tokens a second`
  if (end !== undefined) return { restMs: spokenMs, abortLagMs: 0, basis: `the call has ended; ${basis}` }
  const { restMs, restTokens = 0, abortLagMs } = expected
  return {
    restMs: Math.max(restMs, spokenMs + restTokens * stepMs),
    ...{ restTokens, abortLagMs },
    basis: `${expected.basis}; ${basis}`,
  }
}

/** The calls of a run, by id, in the order of their starts. */
type Calls = ReadonlyMap<string, Transcript>

const isAcknowledged = ({ heard }: Transcript) => heard !== undefined

/** Whether the reader of a run has acknowledged anything. */
export const isAnyAcknowledged = (calls: Calls): boolean => [...calls.values()].some(isAcknowledged)

/**
 * How much of a call's text counts as heard, UTF-16 units: what its reader acknowledged. A call that spoke before one that was acknowledged
 * was heard wholly. Of a call of which nothing was acknowledged, all that was delivered counts; but nothing of one that is cut before a word
 * of it was acknowledged, where its reader is known to acknowledge. `delivered`: how much of the text a reader was handed.
 */
export function heardOf(calls: Calls, call: Transcript, delivered: number): number {
  if (call.heard !== undefined) return Math.min(call.heard, delivered)
  const after = [...calls.values()].slice([...calls.keys()].indexOf(call.request.callId) + 1)
  if (after.some(isAcknowledged)) return delivered
  const isWhole = call.settlement !== undefined && call.end?.end === 'completed' && !call.isCut
  return !isWhole && (isAnyAcknowledged(calls) || call.awaitsHearing) ? 0 : delivered
}
