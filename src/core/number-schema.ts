import { z } from 'zod'

// The message of a check says what is expected; problems.ts makes the sentence of it.

/** A number from `min` to `max`, both included. */
export function numberWithin(min: number, max: number): z.ZodNumber {
  const expected = `a number from ${min} to ${max}`
  return z.number(expected).min(min, expected).max(max, expected)
}

/** A whole number from `min` to `max`, both included. */
export function wholeWithin(min: number, max: number): z.ZodInt {
  const expected = `a whole number from ${min} to ${max.toLocaleString('en-US')}`
  return z.int(expected).min(min, expected).max(max, expected)
}

/** A text of 1 to `longest` characters, not only blanks. */
export function textWithin(longest: number): z.ZodString {
  const expected = `a text of 1 to ${longest.toLocaleString('en-US')} characters`
  return z.string('a text').regex(/\S/, expected).max(longest, expected)
}
