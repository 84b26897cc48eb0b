import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from './random.ts'
import { type SortedColumn, SUMMARY_LENGTH, type Summary } from './sorted-column.ts'

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
