import { eachResample, studentInterval } from './bootstrap.ts'
import type { RandomGenerator } from './random.ts'

const DRAWS = 999

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
  const interval = clusters < 2 ? undefined : studentInterval(value, drawn, clusters)
  return { value, intercept, ...(interval !== undefined && { interval }) }
}

const meanOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length

function slopeUnder(sums: Float64Array, weights: Uint16Array): number {
  const total = [0, 0, 0, 0, 0]
  for (let cluster = 0; cluster < weights.length; cluster++) {
    const weight = weights[cluster]!
    if (weight > 0) for (let term = 0; term < STRIDE; term++) total[term]! += weight * sums[cluster * STRIDE + term]!
  }
  const [n = 0, x = 0, y = 0, xx = 0, xy = 0] = total
  return (n * xy - x * y) / (n * xx - x * x)
}
