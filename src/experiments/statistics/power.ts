import { Z_80, Z_975 } from './normal.ts'

/** The difference that a two-sided test at 5 % finds in 80 % of experiments with this standard error. */
export const detectableDifference = (standardError: number): number => (Z_975 + Z_80) * standardError

/** Units of each arm for 80 % power, where `units` of them can detect `detectable`: the error falls with the root of their number. */
export const unitsFor = (effect: number, { units, detectable }: { units: number; detectable: number }): number =>
  Math.ceil(units * (detectable / effect) ** 2 - 1e-9)

/** Standard deviation of the draws of a bootstrap. NaN where one is not finite. */
export function standardErrorOf(draws: Float64Array): number {
  const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length
  return Math.sqrt(draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (draws.length - 1))
}
