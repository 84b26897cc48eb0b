import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from './random.ts'
import { studentQuantile } from './student-t.ts'

/** Draws clusters with replacement, as many as there are, and calls `use` with how often each is in a draw. The array is used again. */
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

/** Standard deviation of the draws. NaN where one is not finite. */
export function standardErrorOf(draws: Float64Array): number {
  const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length
  return Math.sqrt(draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (draws.length - 1))
}

/**
 * 95 % around an estimate, by Student's t with the standard error of what a bootstrap of at least 2 clusters drew. The bootstrap divides
 * by n, not by n − 1: with few clusters that hides a part. Undefined where an end is not finite.
 */
export function studentInterval(
  estimate: number,
  draws: Float64Array,
  clusters: number,
): readonly [number, number] | undefined {
  const half = -studentQuantile(0.025, clusters - 1) * standardErrorOf(draws) * Math.sqrt(clusters / (clusters - 1))
  return Number.isFinite(half) ? [estimate - half, estimate + half] : undefined
}
