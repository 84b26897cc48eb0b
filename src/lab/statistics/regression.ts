import { present } from '../../core/present.ts'
import { eachResample, studentInterval } from './bootstrap.ts'
import type { RandomGenerator } from './random.ts'

const DRAWS = 999
/** So many of them must have a slope, as a share. */
const ENOUGH = 0.9

export interface Slope {
  readonly value: number
  readonly intercept: number
  readonly interval?: readonly [number, number]
}

/** Of one cluster, with x and y counted from their means: n, Σx, Σy, Σx², Σxy. */
const STRIDE = 5

/**
 * Least squares of y on x, with a 95 % interval from a bootstrap of whole clusters. Undefined with fewer than 3 different x.
 * The points' order matters to rounding: give them in one that does not depend on chance.
 */
export function slopeOf(
  x: Float64Array,
  y: Float64Array,
  cluster: Uint32Array,
  clusters: number,
  random: RandomGenerator,
): Slope | undefined {
  if (new Set(x).size < 3) return undefined
  const [meanX, meanY] = [meanOf(x), meanOf(y)]
  const sums = new Float64Array(clusters * STRIDE)
  for (let point = 0; point < x.length; point++) {
    const at = cluster[point]! * STRIDE
    const [dx, dy] = [x[point]! - meanX, y[point]! - meanY]
    sums[at]! += 1
    sums[at + 1]! += dx
    sums[at + 2]! += dy
    sums[at + 3]! += dx * dx
    sums[at + 4]! += dx * dy
  }
  const value = slopeUnder(sums, new Uint16Array(clusters).fill(1))
  const intercept = meanY - value * meanX
  const drawn = new Float64Array(clusters < 2 ? 0 : DRAWS)
  eachResample(clusters, drawn.length, random, (weights, draw) => {
    drawn[draw] = slopeUnder(sums, weights)
  })
  // A draw may have nothing but points of one x: it has no slope. Where that is often so, there is no interval.
  const known = drawn.filter(Number.isFinite)
  const isEnough = clusters > 1 && known.length >= ENOUGH * DRAWS
  const interval = isEnough ? studentInterval(value, known, clusters) : undefined
  return { value, intercept, ...present({ interval }) }
}

const meanOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length

function slopeUnder(sums: Float64Array, weights: Uint16Array): number {
  const total = [0, 0, 0, 0, 0]
  for (let cluster = 0; cluster < weights.length; cluster++) {
    const weight = weights[cluster]!
    if (weight > 0) for (let term = 0; term < STRIDE; term++) total[term]! += weight * sums[cluster * STRIDE + term]!
  }
  const [n = 0, x = 0, y = 0, xx = 0, xy = 0] = total
  const spread = n * xx - x * x
  // Of one x only rounding is left.
  return spread <= n * xx * 1e-9 ? Number.NaN : (n * xy - x * y) / spread
}
