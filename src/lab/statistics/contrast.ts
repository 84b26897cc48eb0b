import { type Influence, meanInfluence, quantileInfluence } from './influence.ts'
import { Z_975 } from './normal.ts'
import { quantileOf } from './quantile.ts'
import type { SortedColumn } from './sorted-column.ts'
import { studentBelow, studentQuantile } from './student-t.ts'

/** How far p is looked for, in standard errors, and in steps of which length. */
const FURTHEST = 40
const STEP = 0.05
const HALVINGS = 40
/** Far above what rounding does to a quantile of Student's t, and far below what matters. */
const SLACK = 1e-6

/** A difference of one figure between two arms, arm − baseline. Everything it says comes from one family of intervals. */
export interface Contrast {
  readonly estimate: number
  /** The interval that reaches `z` standard errors to both sides. It grows with `z`; an end may be infinite. */
  ends(z: number): readonly [low: number, high: number]
  /** Degrees of freedom of Student's t by which `z` is chosen. */
  readonly freedom: number
}

/** `tail`: what is cut off at each end, 0.025 for 95 %. Undefined where an end is not finite. */
export function intervalOf({ ends, freedom }: Contrast, tail: number): readonly [number, number] | undefined {
  const [low, high] = ends(-studentQuantile(tail, freedom))
  return Number.isFinite(low) && Number.isFinite(high) ? [low, high] : undefined
}

/** Half the width of the interval, in units of a standard error. NaN or infinite where it has no end. */
export function standardErrorOf({ ends }: Contrast): number {
  const [low, high] = ends(Z_975)
  return (high - low) / (2 * Z_975)
}

/**
 * Two-sided p of no difference: the interval of level 1 − p just touches 0. At every level above p the interval leaves 0 out, so that
 * this test and the interval cannot disagree. `without0` is the widest interval that is known to leave 0 out.
 */
export function pOfNone(contrast: Contrast): { readonly p: number; readonly without0: readonly [number, number] } {
  const z = reachOf((at) => leavesOut(contrast.ends(at), 0))
  return { p: Math.min(1, 2 * below(-z, contrast.freedom)), without0: contrast.ends(z) }
}

/** One-sided p of the hypothesis that the true difference is `limit` or more: small where the interval lies below it. */
export const pAtLeast = (contrast: Contrast, limit: number): number => {
  if (contrast.estimate >= limit) return 1 - below(-reachOf((at) => contrast.ends(at)[0] > limit), contrast.freedom)
  return below(-reachOf((at) => contrast.ends(at)[1] < limit), contrast.freedom)
}

/** The same of `limit` or less. */
export const pAtMost = (contrast: Contrast, limit: number): number =>
  pAtLeast(
    {
      ...contrast,
      estimate: -contrast.estimate,
      ends: (z) => {
        const [low, high] = contrast.ends(z)
        return [-high, -low]
      },
    },
    -limit,
  )

export const leavesOut = ([low, high]: readonly [number, number], value: number): boolean => low > value || high < value

const below = (t: number, freedom: number) => Math.max(0, studentBelow(t, freedom))

/** The greatest reach up to which `isOut` holds at every step; 0 where it does not hold at once. */
function reachOf(isOut: (z: number) => boolean): number {
  if (!isOut(0)) return 0
  let inside = STEP
  while (inside < FURTHEST && isOut(inside)) inside += STEP
  if (inside >= FURTHEST) return FURTHEST
  let outside = inside - STEP
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = (outside + inside) / 2
    if (isOut(middle)) outside = middle
    else inside = middle
  }
  return Math.max(0, outside - SLACK)
}

/**
 * The difference of a quantile. Of each arm: the order statistics that lie `z` standard errors of the rank to both sides (Woodruff
 * 1952), whose standard error is that of whole clusters; so they know how steep the distribution is on each side, also in a gap. Of the
 * two: the method of variance estimates recovery with their correlation within blocks (Zou 2008). `paired`: both have the same clusters.
 */
export function quantileContrast(arm: SortedColumn, baseline: SortedColumn, share: number, paired: boolean): Contrast {
  const [a, b] = [quantileInfluence(arm, share), quantileInfluence(baseline, share)]
  const at = ({ values }: SortedColumn, where: number) => quantileOf(values, Math.min(1, Math.max(0, where)))
  const around = (column: SortedColumn, { figure, error }: Influence, z: number) => ({
    down: figure - at(column, share - z * error),
    up: at(column, share + z * error) - figure,
  })
  const correlation = paired ? correlationOf(a, b) : 0
  const estimate = a.figure - b.figure
  const widths = [around(arm, a, Z_975), around(baseline, b, Z_975)].map(({ down, up }) => down + up)
  return {
    estimate,
    ends: (z) => {
      const [ofArm, ofBaseline] = [around(arm, a, z), around(baseline, b, z)]
      return [
        estimate - together(ofArm.down, ofBaseline.up, correlation),
        estimate + together(ofArm.up, ofBaseline.down, correlation),
      ]
    },
    freedom: paired ? Math.min(a.clusters, b.clusters) - 1 : welch(widths, [a.clusters, b.clusters]),
  }
}

/** The difference of means: Student's interval, with the standard error of whole clusters (a ratio of sums, linearised). */
export function meanContrast(arm: SortedColumn, baseline: SortedColumn, paired: boolean): Contrast {
  const [a, b] = [meanInfluence(arm), meanInfluence(baseline)]
  const estimate = a.figure - b.figure
  const clusters = Math.min(a.clusters, b.clusters)
  const correlation = paired ? correlationOf(a, b) : 0
  const unbiased = ({ clusters: count }: Influence) => Math.sqrt(count / Math.max(1, count - 1))
  const error = together(a.error * unbiased(a), b.error * unbiased(b), correlation)
  return {
    estimate,
    ends: (z) => [estimate - z * error, estimate + z * error],
    freedom: paired ? clusters - 1 : welch([a.error, b.error], [a.clusters, b.clusters]),
  }
}

function correlationOf(a: Influence, b: Influence): number {
  let both = 0
  for (let cluster = 0; cluster < a.scores.length; cluster++) both += a.scores[cluster]! * b.scores[cluster]!
  const size = a.length * b.length
  return size === 0 ? 0 : Math.max(-1, Math.min(1, both / size))
}

const together = (x: number, y: number, correlation: number) =>
  Number.isFinite(x) && Number.isFinite(y)
    ? Math.sqrt(Math.max(0, x * x + y * y - 2 * correlation * x * y))
    : Number.POSITIVE_INFINITY

/** Welch's degrees of freedom of two errors, in whole ones. */
function welch([x = 0, y = 0]: readonly number[], [n = 2, m = 2]: readonly number[]): number {
  const [v, w] = [x * x, y * y]
  const freedom = (v + w) ** 2 / (v ** 2 / Math.max(1, n - 1) + w ** 2 / Math.max(1, m - 1))
  return Number.isFinite(freedom) ? Math.max(1, Math.floor(freedom)) : Math.max(1, Math.min(n, m) - 1)
}
