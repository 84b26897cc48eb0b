import { errorFunction } from 'simple-statistics'

/**
 * P(X > x) of the χ² distribution with whole degrees of freedom: Abramowitz and Stegun 26.4.4 and 26.4.5. Even degrees are exact
 * to rounding; with odd ones the error is below 3e-7 (that of `errorFunction`).
 */
export function chiSquareAbove(x: number, freedom: number): number {
  if (x <= 0) return 1
  const odd = freedom % 2 === 1
  let term = odd ? Math.sqrt((2 * x) / Math.PI) * Math.exp(-x / 2) : Math.exp(-x / 2)
  let sum = odd ? 1 - errorFunction(Math.sqrt(x / 2)) : 0
  for (let index = odd ? 1 : 0; index < freedom - 1; index += 2) {
    sum += term
    term *= x / (index + 2)
  }
  return Math.min(1, Math.max(0, sum))
}

/** Pearson's statistic of counts against the shares that were planned. Shares sum to 1; where one is 0, its count must be. */
export function chiSquareOf(observed: readonly number[], shares: readonly number[]): number {
  const total = observed.reduce((sum, count) => sum + count, 0)
  return observed.reduce((sum, count, index) => {
    const expected = total * shares[index]!
    return expected === 0 ? sum + (count === 0 ? 0 : Infinity) : sum + (count - expected) ** 2 / expected
  }, 0)
}
