import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { normalBelow } from './normal.ts'
import { quantileOf } from './quantile.ts'
import type { RandomGenerator } from './random.ts'
import { type SortedColumn, SUMMARY_LENGTH, type Summary } from './sorted-column.ts'
import { studentQuantile } from './student-t.ts'

/**
 * Draws whole clusters with replacement, as many as there are, and gives p50, p95, p99 and mean of each draw, one array for each
 * column and figure: `[column][figure][draw]`. All columns have the same clusters and see the same draws.
 */
export function resample(columns: readonly SortedColumn[], draws: number, random: RandomGenerator): Summary[][] {
  const clusters = columns[0]?.clusters ?? 0
  const results = columns.map(() => Array.from({ length: SUMMARY_LENGTH }, () => new Float64Array(draws)))
  const summary = new Float64Array(SUMMARY_LENGTH)
  eachResample(clusters, draws, random, (weights, draw) => {
    for (let which = 0; which < columns.length; which++) {
      columns[which]!.summarise(weights, summary)
      for (let index = 0; index < SUMMARY_LENGTH; index++) results[which]![index]![draw] = summary[index]!
    }
  })
  return results
}

/** Calls `use` with how often each cluster is in a draw. The array is used again for the next one. */
export function eachResample(
  clusters: number,
  draws: number,
  random: RandomGenerator,
  use: (weights: Uint16Array, draw: number) => void,
): void {
  const weights = new Uint16Array(clusters)
  for (let draw = 0; draw < draws; draw++) {
    weights.fill(0)
    for (let drawn = 0; drawn < clusters; drawn++) weights[uniformInt(random, 0, clusters - 1)]! += 1
    use(weights, draw)
  }
}

/** How many clusters were drawn from, and the degrees of freedom that they leave. */
export interface Drawn {
  readonly clusters: number
  readonly freedom: number
}

/**
 * The share of draws to cut off at each end, so that few clusters do not make an interval too narrow: Hesterberg (2015), expanded
 * percentile interval. `tail` is what each end is to have, such as 0.025.
 */
export const expandedTail = (tail: number, { clusters, freedom }: Drawn): number =>
  normalBelow(Math.sqrt(clusters / (clusters - 1)) * studentQuantile(tail, freedom))

/**
 * Percentile interval of sorted draws, expanded for few clusters, and with the estimate in it. Undefined where an end is not finite.
 * `tail`: what is cut off at each end, 0.025 for 95 %.
 */
export function percentileInterval(
  sorted: Float64Array,
  estimate: number,
  tail: number,
  drawn: Drawn,
): readonly [number, number] | undefined {
  const cut = expandedTail(tail, drawn)
  const low = Math.min(estimate, quantileOf(sorted, cut))
  const high = Math.max(estimate, quantileOf(sorted, 1 - cut))
  return Number.isFinite(low) && Number.isFinite(high) ? [low, high] : undefined
}
