/** The shares that `p50`, `p95` and `p99` stand for. */
export const quantileShares = { p50: 0.5, p95: 0.95, p99: 0.99 } as const

/** The rank of Hyndman and Fan's type 7, from 0: the two values around it, and how far it is from the lower one to the upper one. */
export function rankOf(count: number, share: number): { readonly lower: number; readonly fraction: number } {
  const rank = (count - 1) * share
  // 0.95 has no exact binary form: a rank that is whole but for rounding must not look at the next value, which may be infinite.
  const whole = Math.round(rank)
  if (Math.abs(rank - whole) < 1e-9) return { lower: whole, fraction: 0 }
  return { lower: Math.floor(rank), fraction: rank - Math.floor(rank) }
}

/** Between two neighbours, of which the upper one may be infinite. */
export const between = (lower: number, upper: number, fraction: number): number =>
  fraction === 0 || lower === upper ? lower : upper === Infinity ? Infinity : lower + (upper - lower) * fraction

/**
 * Type 7 of Hyndman and Fan (1996), the default of R and NumPy. `sorted` rises and may end in `Infinity`: a quantile that falls
 * there is `Infinity`. NaN for no values.
 */
export function quantileOf(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN
  const { lower, fraction } = rankOf(sorted.length, share)
  const value = sorted[lower]!
  return fraction === 0 ? value : between(value, sorted[lower + 1]!, fraction)
}
