import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { disagrees } from '../../scripts/validation/unequal.ts'
import { unequalPlan, unequalTrials } from '../../scripts/validation/worlds.ts'
import { analysisLines } from '../../src/cli/ab/report.ts'
import { sequence as sequenceWords } from '../../src/cli/ab/status-words.ts'
import type { AnalysisPlan } from '../../src/core/experiment.ts'
import type { Trial } from '../../src/core/trial.ts'
import { analyse, analyseTable } from '../../src/lab/analyse.ts'
import type { Analysis, Comparison } from '../../src/lab/analysis.ts'
import { curvesOfTable } from '../../src/lab/draw-curves.ts'
import { abPage } from '../../src/lab/report/ab-page.ts'
import { tableOf } from '../../src/lab/trial-table.ts'
import { planOf, trialOf } from './trials.ts'

const few = { permutations: 99 }
const paint = (_: unknown, text: string) => text
const numberOf = (text: string) => Number(text.replace('−', '-').replaceAll(',', ''))

/** A range in a text such as `−36 to −29 ms`. */
const RANGE = /([−+-]?[\d.,]+)(?: ms| %)? to ([−+-]?[\d.,]+)/

/** Every statement of a terminal and of a page that has a finding beside an interval. */
function statements(analysis: Analysis, plan: AnalysisPlan, trials: readonly Trial[]) {
  const lines = analysisLines(analysis, { width: 200, paint }).flatMap((line) => {
    const [, finding] = /(lower|higher|unclear)$/.exec(line) ?? []
    const [, low, high] = RANGE.exec(line) ?? []
    return finding === undefined || low === undefined
      ? []
      : [{ line, finding, low: numberOf(low), high: numberOf(high!) }]
  })
  const page = abPage({ analysis, plan, curves: curvesOfTable(plan, tableOf(plan, trials)) })
  const rows = [...page.matchAll(/<tr><th scope="row">.*?<\/tr>/gs)].flatMap(([row]) => {
    const text = row.replace(/<[^>]+>/g, ' ')
    const [, finding] = /(lower|higher)(?=: )|(?<= )(unclear)(?= |$)/.exec(text) ?? []
    const [, low, high] = RANGE.exec(text) ?? []
    return finding === undefined || low === undefined
      ? []
      : [{ line: text, finding, low: numberOf(low), high: numberOf(high!) }]
  })
  return [...lines, ...rows]
}

function expectAgreement(analysis: Analysis) {
  expect(analysis.comparisons.filter(disagrees)).toEqual([])
  for (const { finding, interval } of analysis.sequences ?? []) {
    if (interval === undefined) expect(finding).toBe('refused')
    else expect(finding).toBe(interval[1] < 1 ? 'lower' : interval[0] > 1 ? 'higher' : 'unclear')
  }
  const primary = analysis.comparisons.filter(
    ({ view, metric }) => view === 'all' && metric === analysis.comparisons[0]?.metric,
  )
  const found = (each: Comparison) => each.finding === 'lower' || each.finding === 'higher'
  if (/^\S+ answers an interrupt .* (sooner|later)/.test(analysis.verdict)) {
    expect(primary.some(found)).toBe(true)
    // The sentence turns the interval round where it says `sooner`: both ends are lengths.
    const [, low, high] = /interval (\S+) to (\S+) ms/.exec(analysis.verdict) ?? []
    expect(numberOf(low!)).toBeGreaterThan(0)
    expect(numberOf(high!)).toBeGreaterThan(0)
  }
  if (analysis.decision === 'unclear') expect(primary.some(found)).toBe(false)
}

interface Value {
  readonly base: number
  readonly tail: boolean
  readonly lost: number
}
interface Drawn {
  readonly sessions: number
  readonly shift: number
  readonly spread: number
  readonly grain: number
  readonly blocked: boolean
  readonly kind: 'offline' | 'live'
  readonly arms: number
  readonly values: Iterator<Value>
}

describe('a finding and its interval', () => {
  const value = fc.record({
    base: fc.double({ min: 0, max: 1, noNaN: true }),
    tail: fc.boolean(),
    lost: fc.integer({ min: 0, max: 9 }),
  })
  const world = fc.record({
    sessions: fc.integer({ min: 20, max: 45 }),
    shift: fc.double({ min: -60, max: 60, noNaN: true }),
    spread: fc.double({ min: 0, max: 150, noNaN: true }),
    grain: fc.constantFrom(0.001, 1, 25),
    blocked: fc.boolean(),
    kind: fc.constantFrom('offline' as const, 'live' as const),
    arms: fc.integer({ min: 2, max: 4 }),
    values: fc.infiniteStream(value),
  })
  const made = ({ sessions, shift, spread, grain, blocked, kind, arms, values }: Drawn) => {
    const names = Array.from({ length: arms }, (_, arm) => (arm === 0 ? 'drain' : `arm-${arm}`))
    const plan = planOf({
      kind,
      arms: names.map((name) => ({ name, policy: name, weight: 1 })),
      metrics: [
        { metric: 'interruptToFirstTokenMs', statistics: ['p50', 'mean'], margin: { absolute: 5 } },
        { metric: 'wastedTokens', statistics: ['mean'] },
      ],
      ...(blocked && kind === 'offline' && { blocks: sessions }),
    })
    const trials = names.flatMap((name, arm) =>
      Array.from({ length: sessions }, (_, session) => {
        const { base, tail, lost } = values.next().value!
        const ms = 100 + (arm > 0 ? shift + spread * (base - 0.5) : 6 * (base - 0.5)) + (tail && base > 0.9 ? 400 : 0)
        const after = lost === 9 && base > 0.8 ? ('lost' as const) : Math.max(0, Math.round(ms / grain) * grain)
        return trialOf(name, `${session}-${arm}`, [after], {
          wastedTokens: Math.round(base * 10 * arm),
          ...(blocked && { block: session }),
        })
      }),
    )
    return { plan, trials }
  }

  it('never disagree, in figures, sentences, on a terminal or on a page', () => {
    fc.assert(
      fc.property(world, (drawn) => {
        const { plan, trials } = made(drawn)
        const analysis = analyseTable(plan, tableOf(plan, trials), few)
        expectAgreement(analysis)
        for (const each of analysis.sequences ?? []) {
          const words = sequenceWords(each)
          if (each.finding === 'unclear') expect(words).toContain('it may still be either')
        }
        for (const { finding, low, high, line } of statements(analysis, plan, trials)) {
          // Figures are rounded: an end may look like 0, but never lie on the other side.
          if (finding === 'lower') expect(high, line).toBeLessThanOrEqual(0)
          else if (finding === 'higher') expect(low, line).toBeGreaterThanOrEqual(0)
          else expect(low <= 0 && high >= 0, line).toBe(true)
        }
      }),
      { numRuns: 25 },
    )
  }, 120_000)

  it('find a drain and a tight abort of the same median different in at most one of twenty experiments', () => {
    let verdicts = 0
    for (let seed = 1; seed <= 1_000; seed++) {
      const world = {
        world: 'uniform 5–195, 100 ± 3' as const,
        ...{ blocked: true, units: 40, turns: 1, lost: 0, arms: 2, factor: 1, seed },
      }
      const analysis = analyse(unequalPlan(world), unequalTrials(world), few)
      expect(analysis.comparisons.filter(disagrees)).toEqual([])
      if (analysis.decision !== 'unclear') verdicts += 1
    }
    // 50 are expected; 67 is two and a half standard errors more.
    expect(verdicts).toBeLessThanOrEqual(67)
    expect(verdicts).toBeGreaterThan(10)
  }, 240_000)
})
