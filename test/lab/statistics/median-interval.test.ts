import { describe, expect, it } from 'vitest'
import { medianInterval } from '../../../src/lab/statistics/median-interval.ts'

const upTo = (n: number) => Array.from({ length: n }, (_, index) => n - index)

describe('the interval of a median', () => {
  // qbinom(0.025, n, 0.5) of R 4 is the rank of its lower end: 1, 1, 2, 2, 6, 14.
  it.each([
    [6, 1, 6],
    [8, 1, 8],
    [9, 2, 8],
    [11, 2, 10],
    [20, 6, 15],
    [40, 14, 27],
  ])('of %i values goes from the %i. to the %i. in order, at 95 %', (n, low, high) => {
    expect(medianInterval(upTo(n))).toEqual({ ends: [low, high], level: 0.95 })
  })

  it('of fewer than six values is their range, which holds less, and of one there is none', () => {
    // One minus the chance that all values lie on one side of the median.
    expect([2, 3, 4, 5].map((n) => medianInterval(upTo(n)))).toEqual([
      { ends: [1, 2], level: 0.5 },
      { ends: [1, 3], level: 0.75 },
      { ends: [1, 4], level: 0.875 },
      { ends: [1, 5], level: 0.9375 },
    ])
    expect(medianInterval([1])).toBeUndefined()
    expect(medianInterval([])).toBeUndefined()
  })
})
