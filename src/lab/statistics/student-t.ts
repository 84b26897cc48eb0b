import { bisect } from 'simple-statistics'
import { normalBelow, normalQuantile } from './normal.ts'

/** From here on Student's t is as good as normal: the quantiles that we need differ by less than 0.1 %. */
const LARGE = 2_000

/** P(T ≤ t) for whole degrees of freedom: the finite sums of Abramowitz and Stegun 26.7.3 and 26.7.4. */
export function studentBelow(t: number, freedom: number): number {
  if (freedom > LARGE) return normalBelow(t)
  const angle = Math.atan(t / Math.sqrt(freedom))
  const cosine = Math.cos(angle) ** 2
  const odd = freedom % 2 === 1
  let term = odd ? Math.cos(angle) : 1
  let sum = freedom === 1 ? 0 : term
  for (let index = odd ? 3 : 2; index < freedom; index += 2) {
    term *= (cosine * (index - 1)) / index
    sum += term
  }
  const central = odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum
  return (1 + central) / 2
}

/** Its inverse, within ±700. */
export const studentQuantile = (share: number, freedom: number): number =>
  freedom > LARGE ? normalQuantile(share) : bisect((t) => studentBelow(t, freedom) - share, -700, 700, 200, 1e-9)
