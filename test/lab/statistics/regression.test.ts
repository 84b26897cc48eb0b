import { describe, expect, it } from 'vitest'
import { randomFor } from '../../../src/lab/statistics/random.ts'
import { slopeOf } from '../../../src/lab/statistics/regression.ts'

/** Points on y = 200 − x with a little on it, and the cluster of each. */
function slopeThrough(points: readonly (readonly [x: number, cluster: number])[], clusters: number) {
  const off = [0.5, -0.3, 0.1, -0.4, 0.2]
  const x = Float64Array.from(points, ([at]) => at)
  const y = x.map((at, index) => 200 - at + off[index % off.length]!)
  const cluster = Uint32Array.from(points, ([, of]) => of)
  return slopeOf(x, y, cluster, clusters, randomFor(1, 'test'))
}

describe('the interval of a slope', () => {
  it('is there and narrow though a draw may hold but one point, whose slope is none', () => {
    // A draw of the first cluster four times happens to one in 256.
    const points = [[20, 0], ...[1, 2, 3].flatMap((of) => [20, 70, 120].map((at) => [at + of, of] as const))] as const
    const slope = slopeThrough(points, 4)
    expect(slope?.value).toBeCloseTo(-1, 1)
    const [low, high] = slope!.interval!
    expect(high - low).toBeLessThan(0.2)
    expect(low).toBeLessThan(-1)
    expect(high).toBeGreaterThan(-1.05)
  })

  it('is none where that happens to many draws', () => {
    // Without the first cluster, as in 8 of 27 draws, all points have one x.
    expect(
      slopeThrough(
        [
          [20, 0],
          [21, 0],
          [70, 1],
          [70, 2],
        ],
        3,
      )?.interval,
    ).toBeUndefined()
  })
})
