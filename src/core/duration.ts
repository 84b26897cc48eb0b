import ms from 'ms'
import { z } from 'zod'
import { wholeWithin } from './number-schema.ts'

const LONGEST_MS = 86_400_000
const MOST = 1_000_000
/** Strict on purpose: the `ms` package alone also takes `1 year`, `-3s` and `.5 hrs`. */
const TEXT = /^(\d{1,12}(?:\.\d{1,9})?)(ms|s|m)$/
const EXPECTED = 'a duration of 0 to 24 h: a number of ms, or a text such as 250ms, 1.5s or 2m'

const toMs = (value: unknown): number | undefined => {
  if (typeof value === 'number') return value + 0 // −0 becomes 0
  if (typeof value !== 'string' || !TEXT.test(value)) return undefined
  // Whole nanoseconds, which is what the engine counts in: 1.1 × 1000 is 1100.0000000000002.
  return Math.round(ms(value as ms.StringValue) * 1e6) / 1e6
}

const faultOf = (length: number | undefined): string | undefined => {
  if (length === undefined || Number.isNaN(length)) return 'is not a duration'
  if (length < 0) return 'is negative'
  return length > LONGEST_MS ? 'is longer than 24 h' : undefined
}

/**
 * A duration as a file writes it: a number of ms, or a number with `ms`, `s` or `m`. Yields ms, from 0 to 86,400,000.
 * Its issues are `custom`, with `params.expected`.
 */
export const durationSchema: z.ZodType<number, number | string> = z
  .any()
  .meta({
    description: 'A duration: a number of ms, or a text such as 250ms, 1.5s or 2m; at most 24 h.',
    anyOf: [
      { type: 'number', minimum: 0, maximum: LONGEST_MS },
      { type: 'string', pattern: TEXT.source },
    ],
  })
  .transform((value: unknown, context): number => {
    const length = toMs(value)
    const fault = faultOf(length)
    if (length !== undefined && fault === undefined) return length
    context.issues.push({ code: 'custom', input: value, message: fault ?? '', params: { expected: EXPECTED } })
    return z.NEVER
  })

/** A whole number from 1 to 1,000,000. */
export const countSchema: z.ZodType<number, number> = wholeWithin(1, MOST)
