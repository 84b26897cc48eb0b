import { Z_80, Z_975 } from './normal.ts'

/** The difference that a two-sided test at 5 % finds in 80 % of experiments with this standard error. */
export const detectableDifference = (standardError: number): number => (Z_975 + Z_80) * standardError

/** Units of each arm for 80 % power, where `units` of them can detect `detectable`: the error falls with the root of their number. */
export const unitsFor = (effect: number, { units, detectable }: { units: number; detectable: number }): number =>
  Math.ceil(units * (detectable / effect) ** 2 - 1e-9)
