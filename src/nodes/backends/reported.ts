import type { Nanoseconds } from '../../core/clock.ts'

/** More tokens than this stand in no answer and no prompt: what claims more is no count. */
const MOST_TOKENS = 100_000_000
/** A duration beyond this is none, ns: 100 days. */
const LONGEST_NS = 100 * 86_400 * 1e9

/**
 * What a server reports beside an answer is bookkeeping, and never costs the answer: a figure that cannot be what it claims to be
 * (missing, null, a text, negative, a fraction of a token, too large) is absent.
 */
export const countOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST_TOKENS ? value : undefined

/** A duration in ns, rounded to whole ones; undefined where it can be none. */
export const nsOf = (value: unknown): Nanoseconds | undefined =>
  typeof value === 'number' && value >= 0 && value <= LONGEST_NS ? Math.round(value) : undefined

/** The same, of ms. */
export const nsOfMs = (value: unknown): Nanoseconds | undefined =>
  typeof value === 'number' ? nsOf(value * 1e6) : undefined

/** How far a count may go beyond the limit that was asked for: some servers leave thinking, or the end, out of the limit. */
const BEYOND_LIMIT = 4
const SMALL = 64

/**
 * A server's count of what it generated, checked against what it was allowed to generate and against the pieces that came; undefined
 * where it is far more than both.
 */
export function generatedCount(value: unknown, pieces: number, maxTokens: number | undefined): number | undefined {
  const count = countOf(value)
  if (count === undefined || maxTokens === undefined || maxTokens <= 0) return count
  return count > BEYOND_LIMIT * Math.max(maxTokens, pieces) + SMALL ? undefined : count
}
