import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MetricName, metrics, statistics } from '../../src/core/experiment.ts'
import type { Trial } from '../../src/core/trial.ts'
import { analyse } from '../../src/lab/analyse.ts'
import type { Analysis } from '../../src/lab/analysis.ts'
import { curvesOf } from '../../src/lab/draw-curves.ts'
import { interruptOf, latency, noise, planOf, sessionsOf, trialOf } from './trials.ts'

const few = { permutations: 199 }
const first = ({ comparisons }: Analysis) => comparisons[0]!

describe('a verdict', () => {
  const faster = sessionsOf(40, (arm, session) => [
    (arm === 'drain' ? 150 : 110) + noise(session),
    (arm === 'drain' ? 150 : 110) + noise(session + 1_000),
  ])

  it('says how much sooner an arm answers, with its interval and p', () => {
    const analysis = analyse(planOf(), faster, { execution: 'e1' })
    const { difference = 0, relative = 0, interval = [0, 0], p = 1, pHolm = 1, finding } = first(analysis)
    expect(difference).toBeCloseTo(-40, -1)
    expect(relative).toBeCloseTo(difference / analysis.arms[0]!.metrics.interruptToFirstTokenMs!.p50!, 12)
    expect(interval[0]).toBeLessThanOrEqual(difference)
    expect(interval[1]).toBeGreaterThanOrEqual(difference)
    expect([p, pHolm]).toEqual([1 / 10_000, 2 / 10_000])
    expect(finding).toBe('lower')
    expect(analysis).toMatchObject({
      execution: 'e1',
      decision: 'better',
      design: { permutations: 9_999 },
    })
    expect(analysis.verdict).toMatch(
      /^abort answers an interrupt [\d.]+ ms sooner than drain at the median \(97.5 % interval [\d.]+ to [\d.]+ ms, p = 0.0002 after Holm\)\.$/,
    )
  })

  it('sets waste against speed', () => {
    const metricsOfPlan = [latency, { metric: 'wastedTokens' as const, statistics: ['mean' as const] }]
    const trials = faster.map((trial, index) => ({
      ...trial,
      wastedTokens: (trial.arm === 'abort' ? 20 : 4) + (index % 3),
    }))
    const analysis = analyse(planOf({ metrics: metricsOfPlan }), trials, few)
    expect(analysis.decision).toBe('mixed')
    expect(analysis.verdict).toMatch(/ but wastes 16(\.\d+)? tokens more a run\.$/)
    expect(analysis.front.map(({ arm, onFront }) => [arm, onFront])).toEqual([
      ['drain', true],
      ['abort', true],
    ])
  })

  it('calls equivalent what differs by less than matters', () => {
    const same = sessionsOf(60, (arm, session) => [150 + noise(session + (arm === 'abort' ? 500 : 0), 4)])
    const analysis = analyse(planOf({ metrics: [{ ...latency, margin: { absolute: 5 } }] }), same, few)
    expect(first(analysis)).toMatchObject({ finding: 'equivalent', equivalence: { margin: 5, equivalent: true } })
    expect(first(analysis).equivalence!.p).toBeLessThan(0.05)
    expect(analysis.decision).toBe('equivalent')
    expect(analysis.verdict).toContain('do not differ by more than 5 ms')
  })

  it('says what it would have found where it finds nothing', () => {
    const same = sessionsOf(30, (arm, session) => [150 + noise(session + (arm === 'abort' ? 500 : 0), 40)])
    const analysis = analyse(planOf({ metrics: [{ ...latency, minimumEffect: { share: 0.05 } }] }), same, few)
    const { detectable = 0, unitsNeeded = 0 } = first(analysis)
    expect(analysis.decision).toBe('unclear')
    expect(unitsNeeded).toBeCloseTo(
      30 * (detectable / (0.05 * analysis.arms[0]!.metrics.interruptToFirstTokenMs!.p50!)) ** 2,
      -1,
    )
    expect(analysis.verdict).toContain('would be found in 4 of 5 such experiments')
  })
})

describe('no verdict', () => {
  const many = () => sessionsOf(40, (_, session) => [150 + noise(session)])

  it('for a single arm', () => {
    const plan = planOf({ arms: [planOf().arms[0]!] })
    const analysis = analyse(plan, many().slice(0, 40), few)
    expect(analysis).toMatchObject({ decision: 'none', comparisons: [], checks: { sampleRatio: { ok: true } } })
    expect(analysis.checks.sampleRatio.p).toBeUndefined()
  })

  it('for one session of each arm', () => {
    const analysis = analyse(
      planOf(),
      sessionsOf(1, () => [100]),
      few,
    )
    expect(analysis.decision).toBe('none')
    expect(first(analysis)).toMatchObject({ finding: 'refused' })
    expect(analysis.reasons).toContain('1 sessions in the smallest arm; a verdict needs 20')
  })

  it('for no trial at all', () => {
    expect(analyse(planOf(), [], few)).toMatchObject({ decision: 'none', arms: [{ trials: 0 }, { trials: 0 }] })
  })

  it('where all failed', () => {
    const failed = sessionsOf(40, () => ['lost']).map((trial): Trial => {
      const { answerMs: _, ...rest } = trial
      return { ...rest, outcome: 'failed' }
    })
    const analysis = analyse(planOf(), failed, few)
    expect(first(analysis)).toMatchObject({ finding: 'refused' })
    expect(first(analysis).note).toContain('all were lost')
    expect(analysis.reasons).toContain('all 80 trials failed')
  })

  it('where both arms are constant and equal, and says so', () => {
    const analysis = analyse(
      planOf(),
      sessionsOf(40, () => [100]),
      few,
    )
    expect(first(analysis)).toMatchObject({ finding: 'refused', difference: 0 })
    expect(first(analysis).note).toBe('all 80 values of both arms are 100 ms: there is nothing to test')
  })

  it('on a mean of values that are all the same, unless the design makes them so; a median is one', () => {
    const constant = sessionsOf(40, (arm) => [arm === 'drain' ? 100 : 90])
    const [p50, mean] = analyse(planOf(), constant, few).comparisons
    expect(p50).toMatchObject({ finding: 'lower', difference: -10, interval: [-10, -10] })
    expect(mean).toMatchObject({ finding: 'refused', difference: -10 })
    expect(mean!.note).toContain('what is rare may not have been seen yet')
    const byDesign = planOf().arms.map((arm) => ({ ...arm, constant: ['interruptToFirstTokenMs' as const] }))
    const known = analyse(planOf({ arms: byDesign }), constant, few).comparisons[1]
    expect(known).toMatchObject({ finding: 'lower', interval: [-10, -10] })
  })

  it('on a mean of rare large values before ten were seen, and says so', () => {
    const rare = (seen: number) =>
      sessionsOf(60, (arm, session) => [arm === 'drain' ? 100 + noise(session) : session < seen ? 1_000 : 50])
    const mean = (seen: number) => analyse(planOf(), rare(seen), few).comparisons[1]!
    expect(mean(9)).toMatchObject({ finding: 'refused' })
    expect(mean(9).interval).toBeUndefined()
    expect(mean(9).note).toBe(
      'a mean needs 10 interrupts on either side of it in each arm; 9 of the 60 of abort are above their mean: compare quantiles, or make more',
    )
    expect(mean(10).interval).toBeDefined()
  })

  it('on a quantile with too few values beyond it, and says how many sessions it takes', () => {
    const plan = planOf({ metrics: [{ metric: 'interruptToFirstTokenMs', statistics: ['p95', 'p50'] }] })
    const [p95, p50] = analyse(plan, many(), few).comparisons
    expect(p95).toMatchObject({
      finding: 'refused',
      note: 'p95 needs 200 interrupts in each arm; the smaller one has 40: about 200 sessions would give them',
    })
    expect(p95!.p).toBeUndefined()
    expect(p50!.p).toBeDefined()
  })

  it('on anything when sessions are not split as planned', () => {
    const analysis = analyse(
      planOf(),
      [...many(), ...Array.from({ length: 60 }, (_, more) => trialOf('drain', `more-${more}`, [1]))],
      few,
    )
    expect(analysis.checks.sampleRatio).toMatchObject({
      ok: false,
      observed: { drain: 100, abort: 40 },
      expected: { drain: 70, abort: 70 },
    })
    expect(analysis.comparisons.every(({ finding, p }) => finding === 'refused' && p === undefined)).toBe(true)
    expect(analysis.decision).toBe('none')
    expect(analysis.reasons[0]).toContain('drain 100, abort 40')
  })
})

describe('what was never reached', () => {
  it('counts as longer than all: quantiles see it, a mean does not exist', () => {
    const trials = sessionsOf(40, (arm, session) => [arm === 'abort' && session < 4 ? 'lost' : 100 + noise(session)])
    const [p50, mean] = analyse(planOf(), trials, few).comparisons
    expect(p50!.p).toBeDefined()
    expect(mean).toMatchObject({ finding: 'refused' })
    expect(mean!.note).toContain('4 of the 40 interrupts of abort were never reached')
    expect(mean!.difference).toBeUndefined()
  })

  it('leaves a quantile that falls there absent', () => {
    const trials = sessionsOf(40, (arm, session) => [arm === 'abort' && session < 25 ? 'lost' : 100])
    const analysis = analyse(planOf(), trials, few)
    expect(analysis.arms[1]!.metrics.interruptToFirstTokenMs).toEqual({ n: 40, censored: 25 })
    expect(first(analysis).note).toContain('the p50 of abort falls among the 25 of 40')
  })

  it('is not what a newer interrupt took over, or a policy that ends the run: these are counted only', () => {
    const trials = sessionsOf(40, (_, session) => [100 + noise(session)]).map((trial) => ({
      ...trial,
      interrupts: [
        ...trial.interrupts,
        ...(['superseded', 'nowhere'] as const).map((end) => {
          const { toFirstTokenMs: _, ...rest } = interruptOf(1, { phases: {} })
          return { ...rest, end }
        }),
      ],
    }))
    const [drain] = analyse(planOf(), trials, few).arms
    expect(drain!.ends).toEqual({ nowhere: 40, reached: 40, superseded: 40 })
    expect(drain!.metrics.interruptToFirstTokenMs).toMatchObject({ n: 40, censored: 0 })
    expect(drain!.metrics.keptTokens).toMatchObject({ n: 120, mean: 3 })
  })
})

describe('blocks', () => {
  const blocks = (count: number, arms: readonly string[]) =>
    Array.from({ length: count }, (_, block) =>
      arms.map((arm, place) =>
        trialOf(arm, `${block}-${arm}`, [100 + 50 * noise(block) + 5 * noise(block * 7 + place)], { block }),
      ),
    ).flat()

  it('that lack an arm are left out of comparisons, and counted', () => {
    const whole = blocks(20, ['drain', 'abort'])
    const torn = trialOf('drain', '20-drain', [9_999], { block: 20 })
    const plan = planOf({ blocks: 21 })
    const analysis = analyse(plan, [...whole, torn], few)
    expect(analysis.checks.blocks).toEqual({ complete: 20, incomplete: 1 })
    expect(analysis.arms[0]!.trials).toBe(21)
    expect(analysis.comparisons).toEqual(analyse(plan, whole, few).comparisons)
    expect(analysis.reasons).toContain('1 block without every arm: left out of comparisons')
  })

  it('take what they have in common out of the comparison', () => {
    const trials = blocks(40, ['drain', 'abort'])
    const paired = first(analyse(planOf({ blocks: 40, metrics: [{ ...latency, statistics: ['mean'] }] }), trials, few))
    const loose = first(analyse(planOf({ metrics: [{ ...latency, statistics: ['mean'] }] }), trials, few))
    expect(paired.detectable!).toBeLessThan(loose.detectable! / 3)
  })
})

it('an A/A arm is checked beside the family: it changes no other figure', () => {
  const plan = planOf()
  const aa = {
    ...plan,
    arms: [...plan.arms, { name: 'drain-again', policy: 'signal/drain', weight: 1 }],
    aaArm: 'drain-again',
  }
  const trials = sessionsOf(40, (arm, session) => [(arm === 'drain' ? 150 : 110) + noise(session)])
  const again = Array.from({ length: 40 }, (_, session) =>
    trialOf('drain-again', `again-${session}`, [150 + noise(session + 77)]),
  )
  const analysis = analyse(aa, [...trials, ...again], few)
  expect(analysis.checks.aa).toMatchObject({ arm: 'drain-again', ok: true })
  expect(analysis.comparisons.slice(0, 2)).toEqual(analyse(plan, trials, few).comparisons)
  const shifted = analyse(aa, [...trials, ...again.map((each) => ({ ...each, interrupts: [interruptOf(300)] }))], few)
  expect(shifted.checks.aa).toMatchObject({ ok: false })
  expect(shifted.reasons.join()).toContain('drain-again differs from the baseline')
})

it('tokens that the server counted in one arm and pieces stand for in the other are marked, and no other metric is', () => {
  const plan = planOf({ metrics: [{ metric: 'wastedTokens', statistics: ['mean'] }, latency] })
  const trials = (abort: Trial['counted']) =>
    sessionsOf(40, (_, session) => [150 + noise(session)]).map(
      (trial, index): Trial => ({
        ...trial,
        wastedTokens: 40 + Math.round(noise(index, 20)),
        ...(abort !== undefined && { counted: trial.arm === 'drain' ? ('server' as const) : abort }),
      }),
    )
  const [wasted, p50] = analyse(plan, trials('both'), few).comparisons
  expect(wasted!.note).toBe(
    'counted in two ways: tokens of 40 of 40 runs of abort are counted from pieces of text, which is an estimate, those of drain by the server',
  )
  expect(wasted!.pHolm).toBeDefined()
  expect(p50!.note).toBeUndefined()
  expect(analyse(plan, trials('server'), few).comparisons[0]!.note).toBeUndefined()
})

it('one more metric changes no other figure', () => {
  const trials = sessionsOf(40, (arm, session) => [(arm === 'drain' ? 150 : 145) + noise(session + arm.length)])
  const more = planOf({ metrics: [latency, { metric: 'runMs', statistics: ['p50'] }] })
  const without = ({ pHolm: _, ...rest }: Analysis['comparisons'][number]) => rest
  const alone = analyse(planOf(), trials, few)
  expect(analyse(more, trials, few).comparisons.slice(0, 2).map(without)).toEqual(alone.comparisons.map(without))
})

describe('live traffic', () => {
  const live = (count: number) =>
    sessionsOf(count, (arm, session) => [(arm === 'drain' ? 150 : 110) + noise(session)]).map((trial, index) =>
      index % 2 === 0 ? trial : { ...trial, exposedMs: 100 },
    )

  it('is also compared over those alone that were exposed', () => {
    const { comparisons } = analyse(planOf({ kind: 'live' }), live(60), few)
    expect(comparisons.map(({ view }) => view)).toEqual(['all', 'all', 'exposed', 'exposed'])
    expect(comparisons[2]).toMatchObject({ finding: 'lower' })
    const none = analyse(
      planOf({ kind: 'live' }),
      live(60).map(({ exposedMs: _, ...trial }) => trial),
      few,
    )
    expect(none.comparisons.every(({ view }) => view === 'all')).toBe(true)
  })

  it('may be looked at at any time, from 50 sessions of each arm', () => {
    const [early] = analyse(planOf({ kind: 'live' }), live(49), few).sequences!
    expect(early).toMatchObject({ finding: 'refused', note: '49 sessions in the smaller arm; looking begins at 50' })
    const [found] = analyse(planOf({ kind: 'live' }), live(60), few).sequences!
    expect(found).toMatchObject({ finding: 'lower', sessions: 120, level: 0.95 })
    expect(found!.ratio).toBeCloseTo(110 / 150, 1)
    expect(found!.interval![0]).toBeLessThan(found!.ratio!)
    expect(found!.interval![1]).toBeGreaterThan(found!.ratio!)
  })

  it('leaves out sessions that were in two arms, and says so', () => {
    const crossed = [trialOf('drain', 'both', [1]), trialOf('abort', 'both', [1])]
    const analysis = analyse(planOf({ kind: 'live' }), [...live(60), ...crossed], few)
    expect(analysis.reasons).toContain('1 session in more than one arm: left out of comparisons')
    expect(analysis.comparisons).toEqual(analyse(planOf({ kind: 'live' }), live(60), few).comparisons)
  })
})

describe('any trials', () => {
  const metricNames = Object.keys(metrics) as MetricName[]
  const value = fc.oneof(fc.constant('lost' as const), fc.constant(7), fc.double({ min: 0, max: 1e4, noNaN: true }))
  const trial = fc
    .record({
      arm: fc.constantFrom('drain', 'abort', 'again', 'elsewhere'),
      session: fc.integer({ min: 0, max: 40 }),
      after: fc.array(value, { maxLength: 3 }),
      block: fc.option(fc.integer({ min: 0, max: 14 }), { nil: undefined }),
      failed: fc.boolean(),
      warmUp: fc.boolean(),
      exposed: fc.boolean(),
      lagMs: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
    })
    .map(({ arm, session, after, block, failed, warmUp, exposed, lagMs }) => {
      const { answerMs, ...rest } = trialOf(arm, `${arm}-${session}`, after)
      return {
        ...rest,
        ...(!failed && { answerMs }),
        outcome: failed ? ('failed' as const) : ('completed' as const),
        ...(block !== undefined && { block }),
        ...(warmUp && { warmUp }),
        ...(exposed && { exposedMs: 5 }),
        ...(lagMs !== undefined && { lagMs }),
      } as Trial
    })
  const plan = fc
    .record({
      arms: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('offline' as const, 'live' as const),
      unit: fc.constantFrom('session' as const, 'cell' as const),
      isBlocked: fc.boolean(),
      asked: fc.subarray(metricNames, { minLength: 1, maxLength: 3 }),
    })
    .map(({ arms, kind, unit, isBlocked, asked }) =>
      planOf({
        kind,
        unit,
        ...(isBlocked && kind === 'offline' && { blocks: 15 }),
        arms: ['drain', 'abort', 'again'].slice(0, arms).map((name) => ({ name, policy: name, weight: 1 })),
        ...(arms === 3 && { aaArm: 'again' }),
        metrics: asked.map((metric) => ({
          metric,
          statistics,
          minimumEffect: { share: 0.1 },
          margin: { absolute: 5 },
        })),
      }),
    )
  const draws = { permutations: 19 }
  const numbersOf = (thing: unknown): number[] =>
    typeof thing === 'number'
      ? [thing]
      : typeof thing === 'object' && thing !== null
        ? Object.values(thing).flatMap(numbersOf)
        : []

  it('give figures that are there and finite, or no figure', () => {
    fc.assert(
      fc.property(plan, fc.array(trial, { maxLength: 150 }), (made, trials) => {
        const analysis = analyse(made, trials, draws)
        expect(JSON.parse(JSON.stringify(analysis))).toEqual(analysis)
        expect(JSON.stringify(analysis)).not.toMatch(/null|NaN|Infinity|undefined/)
        expect(numbersOf(analysis).every(Number.isFinite)).toBe(true)
        const curves = curvesOf(made, trials)
        expect(numbersOf(curves).every(Number.isFinite)).toBe(true)
        for (const { difference, interval, p, pHolm, finding, note } of analysis.comparisons) {
          if (interval !== undefined) {
            expect(interval[0]).toBeLessThanOrEqual(difference!)
            expect(interval[1]).toBeGreaterThanOrEqual(difference!)
          }
          expect(p === undefined).toBe(finding === 'refused')
          if (p !== undefined) expect(pHolm).toBeGreaterThanOrEqual(p)
          if (finding === 'refused') expect(note).toBeTruthy()
        }
        for (const { points } of curves.quantiles)
          for (const [place, { value: here, low = here, high = here }] of points.entries()) {
            expect(low).toBeLessThanOrEqual(here)
            expect(high).toBeGreaterThanOrEqual(here)
            if (place > 0) expect(points[place - 1]!.value).toBeLessThanOrEqual(here)
          }
      }),
      { numRuns: 60 },
    )
  })

  it('give the same bytes in any order', () => {
    fc.assert(
      fc.property(plan, fc.array(trial, { maxLength: 120 }), fc.infiniteStream(fc.nat()), (made, trials, order) => {
        const shuffled = trials
          .map((each) => ({ each, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => each)
        expect(JSON.stringify(analyse(made, shuffled, draws))).toBe(JSON.stringify(analyse(made, trials, draws)))
        expect(JSON.stringify(curvesOf(made, shuffled))).toBe(JSON.stringify(curvesOf(made, trials)))
      }),
      { numRuns: 30 },
    )
  })

  it('give the opposite differences when the arms change places', () => {
    fc.assert(
      fc.property(fc.array(trial, { maxLength: 150 }), (trials) => {
        const there = analyse(planOf(), trials, draws).comparisons
        const back = analyse(planOf({ baseline: 'abort' }), trials, draws).comparisons
        for (const [place, { difference }] of there.entries())
          expect(back[place]!.difference ?? 0).toBeCloseTo(-(difference ?? 0), 9)
      }),
      { numRuns: 30 },
    )
  })
})

describe('a trial that was made twice', () => {
  const numbered = sessionsOf(40, (arm, session) => [(arm === 'drain' ? 150 : 110) + noise(session)]).map(
    (trial, index) => ({ ...trial, trial: index }),
  )
  const again = (trial: Trial) => ({
    ...trial,
    runId: `${trial.runId}-again`,
    startedUnixMs: trial.startedUnixMs + 1,
    interrupts: [interruptOf(5_000)],
  })

  it('counts once, as the first that was made, and the analysis says how many were left out', () => {
    const twice = numbered.flatMap((trial, index) => (index % 3 === 0 ? [trial, again(trial)] : [trial]))
    const [clean, mended] = [analyse(planOf(), numbered, few), analyse(planOf(), twice, few)]
    expect(mended.checks.duplicates).toEqual({ leftOut: 27, ok: false })
    expect(mended.reasons.join()).toContain('27 runs left out: two processes made the same trials at once')
    expect({ ...mended, checks: clean.checks, reasons: clean.reasons }).toEqual(clean)
    expect(clean.checks.duplicates).toBeUndefined()
  })

  it('is none where only the number is the same, or where it is a warm-up', () => {
    const ofSession = numbered.map((trial) => ({ ...trial, trial: 0 }))
    const warmUps = numbered
      .slice(0, 2)
      .flatMap((trial) => [trial, trial].map((each) => ({ ...each, warmUp: true as const })))
    const analysis = analyse(planOf(), [...ofSession, ...warmUps], few)
    expect(analysis.checks.duplicates).toBeUndefined()
    expect(analysis.arms.map(({ trials, warmUps }) => [trials, warmUps])).toEqual([
      [40, 4],
      [40, 0],
    ])
  })
})
