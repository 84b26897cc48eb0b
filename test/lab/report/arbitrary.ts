import fc from 'fast-check'
import { type AnalysisPlan, type MetricName, metrics, statistics } from '../../../src/core/experiment.ts'
import { phaseNames } from '../../../src/core/record.ts'
import type { Analysis } from '../../../src/lab/analysis.ts'
import type { Curves } from '../../../src/lab/curves.ts'
import type { AbReport } from '../../../src/lab/report/ab-page.ts'

// Whatever an analysis can be: figures absent anywhere, of any size, names of any kind.

const hostile = [
  '<script>alert(1)</script>',
  '"quoted" & \'more\'',
  'b\u202edesrever\u202c',
  '</svg><img src=x>',
  'x'.repeat(90),
  '日本語のアーム',
  '🙂',
]
const name = fc
  .oneof(fc.constantFrom(...hostile), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 24 }))
  .filter((text) => !/NaN|undefined|Infinity|null|⚠|\[object/.test(text))
const size = fc.oneof(
  fc.constantFrom(0, 1e-9, 0.004, 1, 99.95, 1e4, 1e6, 1e12),
  fc.double({ min: 0, max: 1e5, noNaN: true }),
)
const signed = fc.tuple(size, fc.boolean()).map(([value, less]) => (less ? -value : value))
const interval = fc.tuple(signed, signed).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
const chance = fc.double({ min: 0, max: 1, noNaN: true })
const count = fc.nat(10_000)
const metric = fc.constantFrom(...(Object.keys(metrics) as MetricName[]))
const statistic = fc.constantFrom(...statistics)
/** Without what is not there: a report has no key with `undefined`. */
const some = <T extends object>(always: { [K in keyof T]: fc.Arbitrary<T[K]> }, required: (keyof T)[]) =>
  fc.record(always, { requiredKeys: required as never }) as fc.Arbitrary<T>

const distribution = some({ n: count, censored: count, mean: size, p50: size, p95: size, p99: size }, ['n', 'censored'])

const armOf = (arm: string) =>
  fc.record({
    name: fc.constant(arm),
    policy: name,
    sessions: count,
    trials: count,
    interrupts: count,
    warmUps: count,
    outcomes: fc.record({ completed: count, cancelled: count, failed: count }),
    settlements: fc.dictionary(fc.constantFrom('drained', 'aborted'), count),
    ends: fc.dictionary(fc.constantFrom('reached', 'lost'), count),
    metrics: fc.dictionary(metric, distribution) as fc.Arbitrary<Analysis['arms'][number]['metrics']>,
    phases: fc.uniqueArray(fc.record({ name: fc.constantFrom(...phaseNames), meanMs: size, share: chance }), {
      selector: (phase) => phase.name,
      maxLength: 5,
    }),
  })

const comparisonOf = (arms: readonly string[]) =>
  some<Analysis['comparisons'][number]>(
    {
      metric,
      statistic,
      arm: fc.constantFrom(...arms),
      baseline: fc.constant(arms[0]!),
      view: fc.constantFrom('all', 'exposed'),
      difference: signed,
      relative: signed,
      interval,
      level: fc.constantFrom(0.95, 0.995),
      p: chance,
      pHolm: chance,
      equivalence: fc.record({ margin: size, p: chance, equivalent: fc.boolean() }),
      detectable: size,
      unitsNeeded: fc.nat(1e9),
      minimumEffect: fc.oneof(fc.record({ share: chance }), fc.record({ absolute: size })),
      finding: fc.constantFrom('lower', 'higher', 'equivalent', 'unclear', 'refused'),
      note: name,
    },
    ['metric', 'statistic', 'arm', 'baseline', 'view', 'level', 'finding'],
  )

function analysisOf(arms: readonly string[]): fc.Arbitrary<Analysis> {
  const byArm = fc
    .array(count, { minLength: arms.length, maxLength: arms.length })
    .map((counts) => Object.fromEntries(arms.map((arm, index) => [arm, counts[index]!])))
  return some<Analysis>(
    {
      schema: fc.constant('caesura.analysis/1' as const),
      experiment: name,
      execution: name,
      kind: fc.constantFrom('offline', 'live'),
      design: some<Analysis['design']>(
        {
          baseline: fc.constant(arms[0]!),
          unit: fc.constantFrom('session', 'cell'),
          blocks: count,
          seed: count,
          permutations: count,
        },
        ['baseline', 'unit', 'seed', 'permutations'],
      ),
      arms: fc.tuple(...arms.map(armOf)),
      comparisons: fc.array(comparisonOf(arms), { maxLength: 6 }),
      sequences: fc.array(
        some<NonNullable<Analysis['sequences']>[number]>(
          {
            metric,
            arm: fc.constantFrom(...arms),
            baseline: fc.constant(arms[0]!),
            ratio: size,
            interval,
            level: fc.constant(0.95),
            sessions: count,
            finding: fc.constantFrom('lower', 'unclear', 'refused'),
            note: name,
          },
          ['metric', 'arm', 'baseline', 'level', 'sessions', 'finding'],
        ),
        { maxLength: 2 },
      ),
      checks: some<Analysis['checks']>(
        {
          sampleRatio: some<Analysis['checks']['sampleRatio']>(
            { p: chance, ok: fc.boolean(), expected: byArm, observed: byArm },
            ['ok', 'expected', 'observed'],
          ),
          units: fc.record({ have: count, needed: count, ok: fc.boolean() }),
          blocks: fc.record({ complete: count, incomplete: count }),
          aa: some<NonNullable<Analysis['checks']['aa']>>(
            { arm: fc.constantFrom(...arms), p: chance, ok: fc.boolean() },
            ['arm', 'ok'],
          ),
          lag: fc.record({ p50Ms: size, p99Ms: size, share: chance }),
        },
        ['sampleRatio', 'units'],
      ),
      front: fc.tuple(
        ...arms.map((arm) =>
          some<Analysis['front'][number]>(
            {
              arm: fc.constant(arm),
              latencyMs: size,
              wastedTokens: size,
              wastedSlotMs: size,
              keptTokens: size,
              onFront: fc.boolean(),
            },
            ['arm', 'wastedTokens', 'wastedSlotMs', 'onFront'],
          ),
        ),
      ),
      decision: fc.constantFrom('better', 'worse', 'mixed', 'equivalent', 'unclear', 'none'),
      verdict: name,
      reasons: fc.array(name, { maxLength: 3 }),
    },
    [
      'schema',
      'experiment',
      'kind',
      'design',
      'arms',
      'comparisons',
      'checks',
      'front',
      'decision',
      'verdict',
      'reasons',
    ],
  )
}

function curvesOf(arms: readonly string[]): fc.Arbitrary<Curves> {
  const arm = fc.constantFrom(...arms)
  const rising = fc
    .array(
      some<Curves['quantiles'][number]['points'][number]>(
        { q: fc.double({ min: 0.01, max: 0.99, noNaN: true }), value: size, low: size, high: size },
        ['q', 'value'],
      ),
      { maxLength: 8 },
    )
    .map((points) => points.toSorted((a, b) => a.q - b.q))
  const unique = { selector: (each: { arm: string }) => each.arm, maxLength: 4 }
  return fc.record({
    quantiles: fc.uniqueArray(fc.record({ metric, arm, points: rising, censoredShare: chance }), {
      selector: (each) => each.metric + each.arm,
      maxLength: 6,
    }),
    clouds: fc.uniqueArray(
      some<Curves['clouds'][number]>(
        {
          arm,
          points: fc.array(fc.record({ sinceCallMs: size, toFirstTokenMs: size }), { maxLength: 6 }),
          of: count,
          slope: some<NonNullable<Curves['clouds'][number]['slope']>>({ value: signed, intercept: signed, interval }, [
            'value',
            'intercept',
          ]),
        },
        ['arm', 'points', 'of'],
      ),
      unique,
    ),
    drift: fc.uniqueArray(
      fc.record({
        arm,
        by: fc.constantFrom('block', 'time'),
        points: fc
          .array(fc.record({ at: count, median: size, n: count }), { maxLength: 6 })
          .map((points) => points.toSorted((a, b) => a.at - b.at)),
      }),
      unique,
    ),
  })
}

const planOf = (arms: readonly string[]): fc.Arbitrary<AnalysisPlan> =>
  fc.record({
    experiment: name,
    kind: fc.constant('offline' as const),
    arms: fc.constant(arms.map((arm) => ({ name: arm, policy: '', weight: 1 }))),
    baseline: fc.constant(arms[0]!),
    unit: fc.constant('session' as const),
    metrics: fc.uniqueArray(fc.record({ metric, statistics: fc.array(statistic, { minLength: 1, maxLength: 2 }) }), {
      selector: (each) => each.metric,
      minLength: 1,
      maxLength: 4,
    }),
    seed: count,
  })

export const anyReport: fc.Arbitrary<AbReport> = fc
  .uniqueArray(name, { minLength: 1, maxLength: 6 })
  .chain((arms) => fc.record({ analysis: analysisOf(arms), curves: curvesOf(arms), plan: planOf(arms) }))
