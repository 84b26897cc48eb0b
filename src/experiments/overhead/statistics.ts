import { quantileSorted } from 'd3-array'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { linearRegression, medianSorted } from 'simple-statistics'

const RESAMPLES = 2_000

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

/** Least squares; undefined with fewer than 3 distinct x. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number | undefined {
  if (new Set(points.map(([x]) => x)).size < 3) return undefined
  return linearRegression(points.map(([x, y]) => [x, y])).m
}

/** To the microsecond, so that a report has no digits that were not measured. */
export const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000 + 0

export const roundedPair = ([low, high]: readonly [number, number]): [number, number] => [rounded(low), rounded(high)]
