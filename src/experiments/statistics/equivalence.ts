import { type Drawn, percentileInterval } from './bootstrap.ts'
import { normalQuantile } from './normal.ts'
import { studentBelow } from './student-t.ts'

export interface Equivalence {
  readonly p: number
  readonly equivalent: boolean
}

/**
 * Two one-sided tests (Schuirmann 1987) at 5 % on the draws of a bootstrap: equivalent where the 90 % interval lies within ±margin.
 * `p` is the larger one of the two: the share of draws at or beyond a margin, widened for few clusters as the interval is.
 * `sorted`: the draws of the difference, rising.
 */
export function equivalence(
  sorted: Float64Array,
  estimate: number,
  margin: number,
  drawn: Drawn,
): Equivalence | undefined {
  const interval = percentileInterval(sorted, estimate, 0.05, drawn)
  if (interval === undefined) return undefined
  const beyond = Math.max(
    sorted.reduce((count, value) => count + (value >= margin ? 1 : 0), 0),
    sorted.reduce((count, value) => count + (value <= -margin ? 1 : 0), 0),
  )
  const share = (1 + beyond) / (2 + sorted.length)
  const p = studentBelow(normalQuantile(share) / Math.sqrt(drawn.clusters / (drawn.clusters - 1)), drawn.freedom)
  return { p, equivalent: -margin < interval[0] && interval[1] < margin }
}
