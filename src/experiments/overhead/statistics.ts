import { quantileSorted } from 'd3-array'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { linearRegression, medianSorted } from 'simple-statistics'

const RESAMPLES = 2_000
const TAIL = 0.025

/** Undefined for nothing. */
export function median(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  return known.length === 0 ? undefined : medianSorted(known)
}

export function quantile(values: readonly number[], q: number): number | undefined {
  return quantileSorted(
    [...values].sort((a, b) => a - b),
    q,
  )
}

/** 95 % by the percentile bootstrap over whole blocks; undefined with fewer than two, or where the statistic has no value. */
export function bootstrapInterval<T>(
  blocks: readonly T[],
  statistic: (drawn: readonly T[]) => number | undefined,
  seed: number,
): [number, number] | undefined {
  if (blocks.length < 2) return undefined
  const random = xoroshiro128plus(seed)
  const values: number[] = []
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const value = statistic(blocks.map(() => blocks[uniformInt(random, 0, blocks.length - 1)]!))
    if (value !== undefined) values.push(value)
  }
  const [low, high] = [quantile(values, 0.025), quantile(values, 0.975)]
  return low === undefined || high === undefined ? undefined : [low, high]
}

/**
 * Of the median, from its order statistics: exact whatever the distribution, and at least 95 % from six values on (Conover 1999,
 * section 3.2). With fewer it is their range, which holds less; undefined below two.
 */
export function medianInterval(values: readonly number[]): [number, number] | undefined {
  if (values.length < 2) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  // P(fewer than `cut` of n values lie below the median), for a fair coin.
  let [cut, chance] = [1, 0.5 ** sorted.length]
  for (let below = chance; below + next(chance, cut) <= TAIL; cut++) {
    chance = next(chance, cut)
    below += chance
  }
  return [sorted[cut - 1]!, sorted[sorted.length - cut]!]
  function next(before: number, heads: number) {
    return (before * (sorted.length - heads + 1)) / heads
  }
}

/** Least squares; undefined with fewer than 3 distinct x. */
export function lineOf(
  points: readonly (readonly [x: number, y: number])[],
): { readonly slope: number; readonly intercept: number } | undefined {
  if (new Set(points.map(([x]) => x)).size < 3) return undefined
  const { m: slope, b: intercept } = linearRegression(points.map(([x, y]) => [x, y]))
  return { slope, intercept }
}

/** To the microsecond, so that a report has no digits that were not measured. */
export const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000 + 0

export const roundedPair = ([low, high]: readonly [number, number]): [number, number] => [rounded(low), rounded(high)]
