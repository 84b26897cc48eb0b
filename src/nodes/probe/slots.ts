import type { Nanoseconds } from '../../core/clock.ts'
import { idleMs, type Step, tokensFor } from './findings.ts'
import { talkPrompt } from './prompts.ts'

/** The most calls that are sent at once. */
export const MOST_AT_ONCE = 4
/** A talk lasts so long at least, in times to first token: then calls that wait are told from calls that run. */
const TALK_IN_TTFTS = 2

/**
 * How many calls make progress at once. More than one is looked at twice: on a busy machine tokens are read late, and calls
 * that followed each other seem to overlap.
 */
export async function measureSlots(step: Step): Promise<void> {
  const { findings, tell } = step
  tell(0, 1)
  const first = await callsAtOnce(step)
  const again = first === undefined || first === 1 ? first : await callsAtOnce(step)
  if (first === undefined || again === undefined) {
    findings.notes.push('How many calls run at once was not seen: the answers came in one piece, or without text.')
    return
  }
  const count = Math.min(first, again)
  findings.slots = { count, bounded: count === MOST_AT_ONCE }
}

async function callsAtOnce({ line, findings }: Step): Promise<number | undefined> {
  const tokens = tokensFor(Math.max(100, TALK_IN_TTFTS * idleMs(findings)), findings, 16, 128)
  await line.open(MOST_AT_ONCE)
  const flights = Array.from({ length: MOST_AT_ONCE }, (_, which) => line.start(talkPrompt(tokens, which)))
  const answers = await Promise.all(flights.map((flight) => line.answer(flight)))
  const spans = answers.flatMap(({ firstAt, lastAt }) =>
    firstAt === undefined || lastAt === undefined || lastAt === firstAt ? [] : [{ from: firstAt, to: lastAt }],
  )
  return spans.length < MOST_AT_ONCE ? undefined : deepest(spans)
}

/** The most spans that hold one instant. Each is taken without its first and last tenth: two that touch do not overlap. */
export function deepest(spans: readonly { readonly from: Nanoseconds; readonly to: Nanoseconds }[]): number {
  const inner = spans.map(({ from, to }) => ({ from: from + (to - from) / 10, to: to - (to - from) / 10 }))
  return Math.max(...inner.map((span) => inner.filter(({ from, to }) => from <= span.from && span.from <= to).length))
}
