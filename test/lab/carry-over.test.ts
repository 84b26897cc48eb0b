import { describe, expect, it } from 'vitest'
import { drawsFrom } from '../../scripts/validation/simulated.ts'
import type { AnalysisPlan } from '../../src/core/experiment.ts'
import type { Trial } from '../../src/core/trial.ts'
import { analyse } from '../../src/lab/analyse.ts'
import { couldExplain } from '../../src/lab/carry-over.ts'
import { randomFor } from '../../src/lab/statistics/random.ts'
import { planOf, trialOf } from './trials.ts'

const few = { permutations: 199 }
const arms = ['drain', 'abort'] as const
const plan = (more: Partial<AnalysisPlan> = {}) =>
  planOf({
    blocks: 60,
    sequential: true,
    metrics: [{ metric: 'interruptToFirstTokenMs', statistics: ['p50'] }],
    ...more,
  })

/** Trials one after the other, in pairs whose order is by chance; each is `leaves` ms longer where an abort ran before it on its node. */
function made(leaves: number, { seed = 1, nodeOf = (_arm: string): string => 'n' } = {}): Trial[] {
  const draw = drawsFrom(randomFor(seed, 'carry-over'))
  const before = new Map<string, string>()
  const trials: Trial[] = []
  for (let block = 0; block < 60; block++) {
    for (const arm of draw.uniform() < 0.5 ? arms : arms.toReversed()) {
      const node = nodeOf(arm)
      const delay = before.get(node) === 'abort' ? leaves : 0
      before.set(node, arm)
      const ms = Math.max(1, (arm === 'drain' ? 200 : 110) + draw.normal(25) + delay)
      const trial = trials.length
      trials.push(
        trialOf(arm, `${block}-${arm}`, [ms], {
          ...{ block, trial, nodes: [node], firstTokenMs: 50 + draw.normal(5) + delay },
          runMs: 900 + ms + draw.normal(10),
          startedUnixMs: 1_000 * trial,
        }),
      )
    }
  }
  return trials
}

describe('what a trial leaves to the next one', () => {
  it('is estimated, and ends the verdict where it is there', () => {
    const { checks, comparisons, decision, verdict, reasons } = analyse(plan(), made(60), few)
    expect(checks.carryOver).toMatchObject({ after: 'abort', ok: false })
    expect(checks.carryOver!.interval[0]).toBeLessThan(60)
    expect(checks.carryOver!.interval[1]).toBeGreaterThan(50)
    expect(comparisons.every(({ finding, interval }) => finding === 'refused' && interval === undefined)).toBe(true)
    expect(decision).toBe('none')
    expect(verdict).toContain('runs that follow abort on the same server take')
    expect(reasons.join()).toContain('`washout`')
  })

  it('is told as a check where there is none, and does not stop the verdict', () => {
    const { checks, decision } = analyse(plan(), made(0), few)
    expect(checks.carryOver).toMatchObject({ ok: true })
    expect(decision).toBe('better')
  })

  it('is found by chance in about one experiment of a hundred', () => {
    const found = Array.from({ length: 120 }, (_, seed) => analyse(plan(), made(0, { seed }), few)).filter(
      ({ checks }) => checks.carryOver?.ok === false,
    )
    expect(found.length).toBeLessThanOrEqual(6)
  })

  it('is looked for on each node alone', () => {
    const trials = made(60, { nodeOf: (arm) => `of-${arm}` })
    // Each arm has a node of its own: every abort follows an abort, so nothing can be told apart, and nothing is mixed up.
    expect(analyse(plan(), trials, few).checks.carryOver).toBeUndefined()
  })

  it('is not looked for where trials were made at once, or on live traffic', () => {
    expect(analyse(plan({ sequential: false }), made(60), few).checks.carryOver).toBeUndefined()
  })

  it('is named where it was not found and may yet be as large as a difference', () => {
    const estimate = { after: 'abort', difference: 4, interval: [-6, 14] as const, p: 0.8 }
    const own = { ...estimate, metric: 'interruptToFirstTokenMs' as const, statistic: 'p50' as const }
    const other = { ...estimate, metric: 'runMs' as const, statistic: 'p50' as const, interval: [-90, 90] as const }
    const carryOver = { ...own, ok: true, estimates: [other, own] }
    const found = (difference: number) => ({
      ...{ metric: own.metric, statistic: own.statistic, arm: 'abort', baseline: 'drain', view: 'all' as const },
      ...{ level: 0.95, finding: 'lower' as const, difference },
    })
    expect(couldExplain(carryOver, found(-12))).toEqual(own)
    expect(couldExplain(carryOver, found(-15))).toBeUndefined()
    // Where it was found, there is no finding to explain.
    expect(couldExplain({ ...carryOver, ok: false }, found(-12))).toBeUndefined()
  })
})
