import { describe, expect, it } from 'vitest'
import { isKept, study } from '../../scripts/validation/study.ts'
import { perform } from '../../scripts/validation/tasks.ts'
import { performUnequal, unequalStudy } from '../../scripts/validation/unequal-study.ts'

// The short form of `npm run validate:statistics`: bounds are as much wider as 60 experiments are fewer than 2,000.
const short = {
  experiments: 60,
  seed: 1,
  sizes: { sessions: [20], pairs: [12], cells: [12] },
  powerSizes: { sessions: [], pairs: [], cells: [] },
  looks: 300,
}

describe('arms of unequal shape', () => {
  const { tasks, read } = unequalStudy({ experiments: 40, seed: 1, units: [12, 40], looks: 400 })
  const rows = read(tasks.map(performUnequal))

  it('are not told apart where they have the same median or mean, and never by an interval that says otherwise', () => {
    expect(new Set(rows.map(({ what }) => what))).toEqual(
      new Set(['false verdicts', 'wrong sign', 'coverage', 'disagreement', 'ever wrong']),
    )
    expect(rows.filter((row) => !isKept(row))).toEqual([])
  })
})

describe('simulated experiments without an effect', () => {
  it('are found to have one, missed by intervals and by looks no more often than stated', () => {
    const { tasks, read } = study(short)
    const rows = read(tasks.map(perform))
    expect(new Set(rows.map(({ what }) => what))).toContain('ever wrong')
    expect(rows.filter(({ what }) => what === 'false positives').length).toBeGreaterThan(12)
    expect(rows.filter((row) => !isKept(row))).toEqual([])
  })

  it('would be found to have one much too often, if sessions were ignored', () => {
    const { tasks, read } = study({
      ...short,
      experiments: 40,
      sizes: { sessions: [20], pairs: [], cells: [] },
      ignoreSessions: true,
    })
    const missed = read(tasks.map(perform)).filter((row) => !isKept(row))
    expect(missed.map(({ what }) => what)).toContain('false positives')
    expect(missed.map(({ what }) => what)).toContain('coverage')
  })
})
