import { type Contrast, intervalOf, pAtLeast, pAtMost } from './contrast.ts'

export interface Equivalence {
  readonly p: number
  readonly equivalent: boolean
}

/**
 * Two one-sided tests (Schuirmann 1987) at 5 %: equivalent where the 90 % interval lies within ±margin. `p` is the larger one of the
 * two. Undefined where the interval is.
 */
export function equivalence(difference: Contrast, margin: number): Equivalence | undefined {
  const interval = intervalOf(difference, 0.05)
  if (interval === undefined) return undefined
  const p = Math.max(pAtLeast(difference, margin), pAtMost(difference, -margin))
  return Number.isFinite(p) ? { p, equivalent: -margin < interval[0] && interval[1] < margin } : undefined
}
