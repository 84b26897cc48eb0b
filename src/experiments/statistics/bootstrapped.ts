import { normalBelow, normalQuantile } from './normal.ts'
import { quantileOf } from './quantile.ts'
import { studentBelow, studentQuantile } from './student-t.ts'

/** A figure and what a bootstrap of clusters made of it. */
export interface Bootstrapped {
  readonly estimate: number
  /** Rising. */
  readonly draws: Float64Array
  /**
   * Where the interval comes from. `percentile`: from the draws' quantiles, which holds for quantiles. `student`: from their standard
   * error and Student's t, which holds for means: with few clusters and long tails percentiles make theirs too narrow.
   */
  readonly by: 'percentile' | 'student'
  /** How many clusters were drawn from; with two samples, in the smaller one. At least 2. */
  readonly clusters: number
  /** Degrees of freedom that they leave, all samples together. */
  readonly freedom: number
}

/** What few clusters hide of the variance: the bootstrap divides by n, not by n − 1. */
const inflation = ({ clusters }: Bootstrapped) => Math.sqrt(clusters / (clusters - 1))

/** Standard deviation of the draws. NaN where one is not finite. */
export function standardErrorOf({ draws }: Pick<Bootstrapped, 'draws'>): number {
  const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length
  return Math.sqrt(draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (draws.length - 1))
}

/**
 * `tail`: what is cut off at each end, 0.025 for 95 %. Percentiles are those of Hesterberg's expanded interval (2015), moved outwards
 * for few clusters, and always hold the estimate. Undefined where an end is not finite.
 */
export function intervalOf(figure: Bootstrapped, tail: number): readonly [number, number] | undefined {
  const { estimate, draws, by } = figure
  const [low, high] = by === 'student' ? studentInterval(figure, tail) : expandedInterval(figure, tail)
  const isThere = draws.length > 1 && Number.isFinite(low) && Number.isFinite(high)
  return isThere ? [Math.min(estimate, low), Math.max(estimate, high)] : undefined
}

function studentInterval(figure: Bootstrapped, tail: number): [number, number] {
  const half = -studentQuantile(tail, figure.clusters - 1) * standardErrorOf(figure) * inflation(figure)
  return [figure.estimate - half, figure.estimate + half]
}

function expandedInterval(figure: Bootstrapped, tail: number): [number, number] {
  const cut = normalBelow(inflation(figure) * studentQuantile(tail, figure.freedom))
  return [quantileOf(figure.draws, cut), quantileOf(figure.draws, 1 - cut)]
}

/** One-sided p of the hypothesis that the true figure is `limit` or more: small where the interval lies below it. */
export function pAtLeast(figure: Bootstrapped, limit: number): number {
  const { estimate, draws, by, clusters, freedom } = figure
  if (by === 'student')
    return studentBelow((estimate - limit) / (standardErrorOf(figure) * inflation(figure)), clusters - 1)
  const beyond = draws.reduce((count, value) => count + (value >= limit ? 1 : 0), 0)
  return studentBelow(normalQuantile((1 + beyond) / (2 + draws.length)) / inflation(figure), freedom)
}

/** The same of `limit` or less. */
export const pAtMost = (figure: Bootstrapped, limit: number): number =>
  pAtLeast({ ...figure, estimate: -figure.estimate, draws: figure.draws.map((value) => -value).reverse() }, -limit)
