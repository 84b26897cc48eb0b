import { deviation, mean, quantileSorted, range, sum } from 'd3-array'
import { randomExponential, randomLogNormal, randomUniform } from 'd3-random'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { AnalysisPlan, Statistic } from '../../../src/core/experiment.ts'
import type { PhaseName } from '../../../src/core/record.ts'
import type { Analysis, ArmSummary, Comparison, Distribution } from '../../../src/lab/analysis.ts'
import type { Curves } from '../../../src/lab/curves.ts'

// Trials as drain and abort would make them, and what an analysis says of them: shaped like the real one, far simpler.

export interface Simulated {
  readonly name: string
  readonly policy: string
  /** Share of the first stage's rest that is waited for; the others are cut, which takes `lagMs`. */
  readonly drains: number
  readonly lagMs?: number
  /** Share of the interrupts that never reached a first token. */
  readonly lost?: number
}

interface SimulatedTrial {
  readonly arm: string
  readonly block: number
  readonly sinceCallMs: number
  readonly toFirstTokenMs: number | undefined
  readonly phases: Partial<Record<PhaseName, number>>
  readonly wastedTokens: number
  readonly wastedSlotMs: number
  readonly keptTokens: number
}

export const drainAndAbort: readonly Simulated[] = [
  { name: 'drain', policy: 'drain, carry all', drains: 1 },
  { name: 'abort', policy: 'abort, carry sentences', drains: 0, lagMs: 9 },
]

const FIRST_STAGE_MS = 190
const MS_A_TOKEN = 4

/** `perBlock` trials of each arm in each of `blocks`. */
export function simulatedTrials(
  arms: readonly Simulated[],
  seed: number,
  blocks = 20,
  perBlock = 12,
): SimulatedTrial[] {
  const generator = xoroshiro128plus(seed)
  const source = () => (generator.next() >>> 0) / 2 ** 32
  const uniform = randomUniform.source(source)()
  const prefill = randomLogNormal.source(source)(Math.log(24), 0.25)
  const slow = randomExponential.source(source)(1 / 60)
  const moment = randomUniform.source(source)(5, FIRST_STAGE_MS * 1.15)
  return range(blocks).flatMap((block) => {
    const drift = 1 + 0.08 * Math.sin(block / 3) + 0.03 * uniform()
    return range(perBlock).flatMap(() =>
      arms.map(({ name, drains, lagMs = 9, lost = 0 }) => {
        const sinceCallMs = moment()
        const left = Math.max(0, FIRST_STAGE_MS * drift - sinceCallMs)
        const drained = uniform() < drains
        const phases: Partial<Record<PhaseName, number>> = {
          decide: 0.4 + 0.2 * uniform(),
          ...(left > 0 && (drained ? { drain: left } : { settle: Math.min(left, lagMs * (0.5 + uniform())) })),
          send: 0.2,
          prefill: prefill() * drift,
          'first-token': MS_A_TOKEN * drift,
          unattributed: (uniform() < 0.03 ? slow() : 0) + 0.3,
        }
        const generated = Math.max(0, Math.floor((Math.min(sinceCallMs, FIRST_STAGE_MS) - 20) / MS_A_TOKEN))
        const wastedTokens = left > 0 && !drained ? generated % 13 : 0
        return {
          arm: name,
          block,
          sinceCallMs,
          toFirstTokenMs: uniform() < lost ? undefined : sum(Object.values(phases)),
          phases,
          wastedTokens,
          wastedSlotMs: wastedTokens * MS_A_TOKEN + (drained ? 0 : (phases.settle ?? 0)),
          keptTokens: generated - wastedTokens,
        }
      }),
    )
  })
}

const seen = ['interruptToFirstTokenMs', 'keptTokens', 'wastedTokens', 'wastedSlotMs'] as const
type Seen = (typeof seen)[number]
const metricOf = (trial: SimulatedTrial, metric: Seen): number =>
  metric === 'interruptToFirstTokenMs' ? (trial.toFirstTokenMs ?? Number.POSITIVE_INFINITY) : trial[metric]

function statisticOf(trials: readonly SimulatedTrial[], metric: Seen, statistic: Statistic): number | undefined {
  const values = trials.map((trial) => metricOf(trial, metric)).sort((a, b) => a - b)
  const value = statistic === 'mean' ? mean(values) : quantileSorted(values, Number(statistic.slice(1)) / 100)
  return Number.isFinite(value) ? value : undefined
}

export const planOf = (arms: readonly Simulated[], blocks = 20): AnalysisPlan => ({
  experiment: 'cut-in',
  kind: 'offline',
  arms: arms.map(({ name, policy }) => ({ name, policy, weight: 1 })),
  baseline: arms[0]!.name,
  unit: 'session',
  blocks,
  seed: 1,
  metrics: [
    {
      metric: 'interruptToFirstTokenMs',
      statistics: ['p50', 'p95'],
      minimumEffect: { share: 0.1 },
      margin: { absolute: 5 },
    },
    { metric: 'wastedTokens', statistics: ['mean'], minimumEffect: { absolute: 2 } },
    { metric: 'wastedSlotMs', statistics: ['mean'] },
    { metric: 'keptTokens', statistics: ['mean'] },
  ],
})

export interface Fixture {
  readonly analysis: Analysis
  readonly curves: Curves
  readonly plan: AnalysisPlan
  readonly data: readonly string[]
}

export function fixtureOf(arms = drainAndAbort, seed = 1, blocks = 20, perBlock = 12): Fixture {
  const trials = simulatedTrials(arms, seed, blocks, perBlock)
  const plan = planOf(arms, blocks)
  const of = (arm: string) => trials.filter((trial) => trial.arm === arm)
  const summaries = arms.map((arm) => summaryOf(arm, of(arm.name), blocks))
  const [first, ...others] = arms
  const compared = plan.metrics.flatMap(({ metric, statistics }) =>
    statistics.flatMap((statistic) =>
      others.map(({ name }) => comparisonOf(metric as Seen, statistic, of(name), of(first!.name), blocks)),
    ),
  )
  const family = compared.length
  const front = summaries.map(({ name, metrics }) => ({
    arm: name,
    ...(metrics.interruptToFirstTokenMs?.p50 !== undefined && { latencyMs: metrics.interruptToFirstTokenMs.p50 }),
    wastedTokens: metrics.wastedTokens?.mean ?? 0,
    wastedSlotMs: metrics.wastedSlotMs?.mean ?? 0,
    keptTokens: metrics.keptTokens?.mean ?? 0,
  }))
  return {
    plan,
    data: trials.map((trial) => JSON.stringify(trial)),
    analysis: {
      schema: 'caesura.analysis/1',
      experiment: plan.experiment,
      execution: '2f6f0a9c',
      kind: 'offline',
      design: { baseline: plan.baseline, unit: plan.unit, blocks, seed: 1, permutations: 10_000 },
      arms: summaries,
      comparisons: compared.map((each) => ({
        ...each,
        ...(each.p !== undefined && { pHolm: Math.min(1, each.p * family) }),
      })),
      checks: {
        sampleRatio: {
          p: 1,
          ok: true,
          expected: Object.fromEntries(arms.map(({ name }) => [name, blocks * perBlock])),
          observed: Object.fromEntries(arms.map(({ name }) => [name, blocks * perBlock])),
        },
        units: { have: blocks * perBlock, needed: 20, ok: blocks * perBlock >= 20 },
        blocks: { complete: blocks, incomplete: 0 },
      },
      front: front.map((point) => ({
        ...point,
        onFront: !front.some(
          (other) =>
            (other.latencyMs ?? Number.MAX_VALUE) <= (point.latencyMs ?? Number.MAX_VALUE) &&
            other.wastedTokens <= point.wastedTokens &&
            other.wastedSlotMs <= point.wastedSlotMs &&
            ((other.latencyMs ?? Number.MAX_VALUE) < (point.latencyMs ?? Number.MAX_VALUE) ||
              other.wastedTokens < point.wastedTokens ||
              other.wastedSlotMs < point.wastedSlotMs),
        ),
      })),
      decision: others.length === 0 ? 'none' : 'mixed',
      verdict:
        others.length === 0
          ? 'There is no verdict: one arm has nothing to be compared with.'
          : `${others[0]!.name} reaches the next first token sooner than ${first!.name}, and wastes more tokens for it.`,
      reasons: others.length === 0 ? ['the experiment has one arm'] : [],
    },
    curves: {
      quantiles: seen.flatMap((metric) =>
        arms.map(({ name }) => {
          const points = range(1, 100).flatMap((percent) => quantilePoint(of(name), metric, percent / 100, blocks))
          return { metric, arm: name, points, censoredShare: censoredOf(of(name), metric) / (blocks * perBlock) }
        }),
      ),
      clouds: arms.map(({ name }) => cloudOf(name, of(name))),
      drift: arms.map(({ name }) => ({
        arm: name,
        by: 'block' as const,
        points: range(blocks).flatMap((block) => {
          const median = statisticOf(
            of(name).filter((trial) => trial.block === block),
            'interruptToFirstTokenMs',
            'p50',
          )
          return median === undefined ? [] : [{ at: block, median, n: perBlock }]
        }),
      })),
    },
  }
}

const censoredOf = (trials: readonly SimulatedTrial[], metric: Seen) =>
  metric === 'interruptToFirstTokenMs' ? trials.filter((trial) => trial.toFirstTokenMs === undefined).length : 0

function summaryOf({ name, policy, drains }: Simulated, trials: readonly SimulatedTrial[], blocks: number): ArmSummary {
  const reached = trials.filter((trial) => trial.toFirstTokenMs !== undefined)
  const whole = sum(reached, (trial) => trial.toFirstTokenMs)
  const names = ['decide', 'drain', 'settle', 'send', 'prefill', 'first-token', 'unattributed'] as const
  const distributionOf = (metric: Seen): Distribution => {
    const at = (statistic: Statistic) => {
      const value = statisticOf(trials, metric, statistic)
      return value === undefined ? {} : { [statistic]: value }
    }
    return {
      n: trials.length,
      censored: censoredOf(trials, metric),
      ...at('mean'),
      ...at('p50'),
      ...at('p95'),
      ...at('p99'),
    }
  }
  const settled = trials.filter(({ phases }) => phases.drain === undefined && phases.settle === undefined).length
  return {
    name,
    policy,
    sessions: trials.length,
    trials: trials.length,
    interrupts: trials.length,
    warmUps: blocks,
    outcomes: { completed: reached.length, cancelled: 0, failed: trials.length - reached.length },
    settlements: { completed: settled, [drains > 0.5 ? 'drained' : 'aborted']: trials.length - settled },
    ends: { reached: reached.length, lost: trials.length - reached.length },
    metrics: Object.fromEntries(seen.map((metric) => [metric, distributionOf(metric)])),
    phases: names.flatMap((phase) => {
      const meanMs = mean(reached, ({ phases }) => phases[phase] ?? 0) ?? 0
      return meanMs > 0 ? [{ name: phase, meanMs, share: (meanMs * reached.length) / whole }] : []
    }),
  }
}

/** Statistics of the trials with one block left out: their spread gives an interval that is good enough to be drawn. */
function leftOut(
  trials: readonly SimulatedTrial[],
  blocks: number,
  of: (some: readonly SimulatedTrial[]) => number | undefined,
) {
  return range(blocks).flatMap((block) => of(trials.filter((trial) => trial.block !== block)) ?? [])
}

const jackknife = (values: readonly number[]): number =>
  values.length < 2 ? 0 : ((values.length - 1) / Math.sqrt(values.length)) * (deviation(values) ?? 0)

function comparisonOf(
  metric: Seen,
  statistic: Statistic,
  arm: readonly SimulatedTrial[],
  baseline: readonly SimulatedTrial[],
  blocks: number,
): Comparison {
  const base = { metric, statistic, arm: arm[0]!.arm, baseline: baseline[0]!.arm, view: 'all' as const, level: 0.95 }
  const of = (some: readonly SimulatedTrial[]) => statisticOf(some, metric, statistic)
  const [value, reference] = [of(arm), of(baseline)]
  if (value === undefined || reference === undefined)
    return { ...base, finding: 'refused', note: 'the quantile falls among interrupts that never reached a first token' }
  const difference = value - reference
  const error = Math.hypot(jackknife(leftOut(arm, blocks, of)), jackknife(leftOut(baseline, blocks, of)))
  const interval = [difference - 1.96 * error, difference + 1.96 * error] as const
  return {
    ...base,
    difference,
    ...(reference !== 0 && { relative: difference / reference }),
    interval,
    p: interval[0] > 0 || interval[1] < 0 ? 0.0001 : 0.34,
    ...(metric === 'interruptToFirstTokenMs' && {
      equivalence: {
        margin: 5,
        p: interval[0] > -5 && interval[1] < 5 ? 0.01 : 0.97,
        equivalent: interval[0] > -5 && interval[1] < 5,
      },
      minimumEffect: { share: 0.1 },
      unitsNeeded: 64,
    }),
    detectable: 2.8 * error,
    finding: interval[1] < 0 ? 'lower' : interval[0] > 0 ? 'higher' : 'unclear',
  }
}

function quantilePoint(trials: readonly SimulatedTrial[], metric: Seen, q: number, blocks: number) {
  const values = trials.map((trial) => metricOf(trial, metric)).sort((a, b) => a - b)
  const at = (share: number) => quantileSorted(values, Math.min(1, Math.max(0, share)))!
  const error = 1.96 * Math.sqrt((q * (1 - q)) / values.length) * (blocks > 1 ? 1.3 : 1)
  const value = at(q)
  if (!Number.isFinite(value)) return []
  const high = at(q + error)
  return [{ q, value, low: at(q - error), ...(Number.isFinite(high) && { high }) }]
}

function cloudOf(arm: string, trials: readonly SimulatedTrial[]): Curves['clouds'][number] {
  const points = trials.flatMap(({ sinceCallMs, toFirstTokenMs }) =>
    toFirstTokenMs === undefined ? [] : [{ sinceCallMs, toFirstTokenMs }],
  )
  const inside = trials.filter(
    ({ phases, toFirstTokenMs }) => toFirstTokenMs !== undefined && (phases.drain ?? phases.settle) !== undefined,
  )
  const [x, y] = [mean(inside, (trial) => trial.sinceCallMs) ?? 0, mean(inside, (trial) => trial.toFirstTokenMs) ?? 0]
  const value =
    sum(inside, (trial) => (trial.sinceCallMs - x) * (trial.toFirstTokenMs! - y)) /
    sum(inside, (trial) => (trial.sinceCallMs - x) ** 2)
  if (!Number.isFinite(value)) return { arm, points: points.slice(0, 1000), of: points.length }
  const slope = { value, intercept: y - value * x, interval: [value - 0.06, value + 0.06] as const }
  return { arm, points: points.slice(0, 1000), of: points.length, slope }
}

/** Sixteen of different haste, with a name that fits nowhere. */
export const sixteen: readonly Simulated[] = range(16).map((index) => ({
  name: index === 3 ? 'grace-of-250-ms-with-carried-sentences-and-prefix-warming' : `arm-${index + 1}`,
  policy: `grace: ${index * 15}ms`,
  drains: 1 - index / 15,
  lagMs: 4 + index,
}))
