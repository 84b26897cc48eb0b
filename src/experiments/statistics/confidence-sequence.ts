/** The number of sessions at which the sequence is narrowest. Chosen ahead of all data. */
const NARROWEST_AT = 1_000

/** Mean and unbiased variance of what was seen so far (Welford 1962). */
export class Moments {
  count = 0
  mean = 0
  #squares = 0

  add(value: number): void {
    const off = value - this.mean
    this.count += 1
    this.mean += off / this.count
    this.#squares += off * (value - this.mean)
  }

  get variance(): number {
    return this.#squares / (this.count - 1)
  }
}

/** ρ² that makes the sequence narrowest at `count` for this α: Waudby-Smith et al., section B.2, without Lambert's W. */
function tuning(count: number, alpha: number): number {
  const log = -2 * Math.log(alpha)
  return (log + Math.log(log) + 1) / count
}

/**
 * Half the width, in standard deviations, of the asymptotic confidence sequence after `count` observations: it holds at all times
 * together with probability 1 − α. Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (Annals of Statistics 2024,
 * "Time-uniform central limit theory and asymptotic confidence sequences"), Theorem 2.2.
 */
export function sequenceRadius(count: number, alpha: number, narrowestAt = NARROWEST_AT): number {
  const rho = tuning(narrowestAt, alpha)
  const scaled = count * rho + 1
  return Math.sqrt(((2 * scaled) / (count ** 2 * rho)) * Math.log(Math.sqrt(scaled) / alpha))
}

/**
 * Difference of two means, arm − baseline, with its confidence sequence. The observations of both arms are one sequence of
 * n = n₁ + n₀, each with the estimate's influence: its variance is s₁² · n/n₁ + s₀² · n/n₀.
 */
export function meanSequence(
  arm: Moments,
  baseline: Moments,
  alpha: number,
): { readonly difference: number; readonly interval: readonly [number, number] } {
  const count = arm.count + baseline.count
  const deviation = Math.sqrt(count * (arm.variance / arm.count + baseline.variance / baseline.count))
  const radius = deviation * sequenceRadius(count, alpha)
  const difference = arm.mean - baseline.mean
  return { difference, interval: [difference - radius, difference + radius] }
}
