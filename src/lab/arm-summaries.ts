import { type AnalysisPlan, type MetricName, metrics } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import { phaseNames } from '../core/record.ts'
import type { ArmSummary, Distribution, FrontPoint } from './analysis.ts'
import { paretoFront } from './statistics/pareto.ts'
import { quantileOf, quantileShares } from './statistics/quantile.ts'
import { type ArmCounts, type TrialTable, valuesOf } from './trial-table.ts'

const metricNames = Object.keys(metrics) as MetricName[]

/** Everything that was measured of each arm, whether it is compared or not. */
export function armSummaries(plan: AnalysisPlan, table: TrialTable): ArmSummary[] {
  const distributions = plan.arms.map((): Partial<Record<MetricName, Distribution>> => ({}))
  for (const metric of metricNames)
    for (const [arm, values] of byArm(table, metric, plan.arms.length).entries())
      if (values.length > 0) distributions[arm]![metric] = distributionOf(values)
  const sessions = sessionsByArm(table, plan.arms.length)
  return plan.arms.map(({ name, policy, factors }, arm) => {
    const { trials, interrupts, warmUps, outcomes, settlements, ends } = table.counts[arm]!
    return {
      name,
      // A preset's name does not tell in what an arm differs from the others.
      policy: factors === undefined ? policy : factors.join(', '),
      sessions: sessions[arm]!,
      trials,
      interrupts,
      warmUps,
      outcomes,
      settlements: inOrder(settlements),
      ends: inOrder(ends),
      metrics: distributions[arm]!,
      phases: phasesOf(table.counts[arm]!),
    }
  })
}

const inOrder = (counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)))

export function sessionsByArm({ trials: { arm, session } }: TrialTable, arms: number): number[] {
  const seen = Array.from({ length: arms }, () => new Set<number>())
  for (let trial = 0; trial < arm.length; trial++) seen[arm[trial]!]!.add(session[trial]!)
  return seen.map(({ size }) => size)
}

/** The values of each arm, rising, without those that do not exist. */
export function byArm(table: TrialTable, metric: MetricName, arms: number): Float64Array[] {
  const values = valuesOf(table, metric)
  const trialOf = metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined
  const armOf = (index: number) => table.trials.arm[trialOf === undefined ? index : trialOf[index]!]!
  const counts = new Uint32Array(arms)
  for (let index = 0; index < values.length; index++) if (!Number.isNaN(values[index])) counts[armOf(index)]! += 1
  const split = Array.from(counts, (count) => new Float64Array(count))
  const filled = new Uint32Array(arms)
  for (let index = 0; index < values.length; index++) {
    if (Number.isNaN(values[index])) continue
    const arm = armOf(index)
    split[arm]![filled[arm]!++] = values[index]!
  }
  for (const each of split) each.sort()
  return split
}

function distributionOf(sorted: Float64Array): Distribution {
  const finite = sorted.indexOf(Infinity)
  const figures = {
    mean: finite === -1 ? sorted.reduce((sum, value) => sum + value, 0) / sorted.length : Infinity,
    p50: quantileOf(sorted, quantileShares.p50),
    p95: quantileOf(sorted, quantileShares.p95),
    p99: quantileOf(sorted, quantileShares.p99),
  }
  return {
    n: sorted.length,
    censored: finite === -1 ? 0 : sorted.length - finite,
    ...Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value))),
  }
}

function phasesOf({ reached, phaseSums }: ArmCounts): ArmSummary['phases'] {
  const sums = phaseNames.flatMap((name) => {
    const sum = phaseSums.get(name)?.valueOf() ?? 0
    return sum === 0 ? [] : [{ name, sum }]
  })
  const total = sums.reduce((all, { sum }) => all + sum, 0)
  return sums.map(({ name, sum }) => ({ name, meanMs: sum / reached, share: sum / total }))
}

/** Latency against waste. The A/A arm is no choice, so it is no point; an arm whose median does not exist is the slowest. */
export function frontOf(plan: AnalysisPlan, summaries: readonly ArmSummary[]): FrontPoint[] {
  const points = summaries.flatMap(({ name, metrics: of }) => {
    const [wastedTokens, wastedSlotMs] = [of.wastedTokens?.mean, of.wastedSlotMs?.mean]
    if (name === plan.aaArm || wastedTokens === undefined || wastedSlotMs === undefined) return []
    const latencyMs = of.interruptToFirstTokenMs?.p50
    const keptTokens = of.keptTokens?.mean
    return [
      {
        arm: name,
        ...present({ latencyMs }),
        wastedTokens,
        wastedSlotMs,
        ...present({ keptTokens }),
      },
    ]
  })
  const front = paretoFront(
    points.map(({ latencyMs = Infinity, wastedTokens, wastedSlotMs }) => [latencyMs, wastedTokens, wastedSlotMs]),
  )
  return points.map((point, index) => ({ ...point, onFront: front[index]! }))
}
