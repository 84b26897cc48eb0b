import { median } from 'simple-statistics'

/** From so many values on there is a 95 % interval of their median. */
export const LEAST_FOR_95 = 6

export interface MedianInterval {
  readonly ends: readonly [number, number]
  /** In how many samples of 1 it holds the median, at least: 0.95; with fewer than six values, whose range it is, less. */
  readonly level: number
}

/**
 * The interval of the median is taken from its order statistics: it is exact whatever the distribution (Conover 1999, section 3.2). Undefined
 * below two values.
 */
export function medianInterval(values: readonly number[]): MedianInterval | undefined {
  const n = values.length
  if (n < 2) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  // P(fewer than `cut` of n values lie below the median), for a fair coin.
  let [cut, chance] = [1, 0.5 ** n]
  const next = () => (chance * (n - cut + 1)) / cut
  for (let below = chance; below + next() <= 0.025; cut++) {
    chance = next()
    below += chance
  }
  return { ends: [sorted[cut - 1]!, sorted[n - cut]!], level: n < LEAST_FOR_95 ? 1 - 2 * 0.5 ** n : 0.95 }
}

/** The median of the values that are there; undefined where none is. */
export function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : median(known)
}
