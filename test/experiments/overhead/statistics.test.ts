import { describe, expect, it } from 'vitest'
import { medianInterval } from '../../../src/experiments/overhead/statistics.ts'

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
  ])('of %i values goes from the %i. to the %i. in order', (n, low, high) => {
    expect(medianInterval(upTo(n))).toEqual([low, high])
  })

  it('of fewer than six values is their range, and of one there is none', () => {
    expect(medianInterval([3, 1, 2])).toEqual([1, 3])
    expect(medianInterval([1])).toBeUndefined()
    expect(medianInterval([])).toBeUndefined()
  })
})
