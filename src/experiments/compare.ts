import {
  type AnalysisPlan,
  type Effect,
  type MetricPlan,
  metrics,
  type Statistic,
  statistics,
} from '../core/experiment.ts'
import type { Comparison } from './analysis.ts'
import { whyRefused } from './refusal.ts'
import { resample } from './statistics/bootstrap.ts'
import { type Bootstrapped, intervalOf, standardErrorOf } from './statistics/bootstrapped.ts'
import { equivalence } from './statistics/equivalence.ts'
import { holm } from './statistics/holm.ts'
import { permutationTest } from './statistics/permutation.ts'
import { detectableDifference, unitsFor } from './statistics/power.ts'
import { quantileShares } from './statistics/quantile.ts'
import { randomFor } from './statistics/random.ts'
import type { SortedColumn, Summary } from './statistics/sorted-column.ts'
import { type TrialTable, valuesOf } from './trial-table.ts'
import { type Clusters, clustersOf, columnOf, pairOf, type View } from './units.ts'

export const LEVEL = 0.95
const ALPHA = 1 - LEVEL

export interface Draws {
  readonly permutations: number
  readonly resamples: number
}

/** One arm of a view: its values by metric, and what the bootstrap makes of them. */
interface Side {
  readonly name: string
  readonly columns: readonly SortedColumn[]
  readonly clusters: number
  readonly drawn: readonly (readonly Summary[])[]
}

/** Each arm of the plan against the baseline, in the order of arms, metrics and statistics. Arms without a unit are left out. */
export function comparisonsOf(
  plan: AnalysisPlan,
  table: TrialTable,
  view: View,
  draws: Draws,
  gate: string | undefined,
): Comparison[] {
  const baseline = plan.arms.findIndex(({ name }) => name === plan.baseline)
  const sideOf = (arm: number) => side(plan, table, view, arm, draws)
  const base = sideOf(baseline)
  const compared = plan.arms.flatMap(({ name }, arm) =>
    arm === baseline
      ? []
      : [
          {
            isAa: name === plan.aaArm,
            found: compare(plan, table, view, arm, baseline, sideOf(arm), base, draws, gate),
          },
        ],
  )
  const family = adjusted(compared.filter(({ isAa }) => !isAa).flatMap(({ found }) => found))
  const aa = adjusted(compared.filter(({ isAa }) => isAa).flatMap(({ found }) => found))
  return [...family, ...aa]
}

function side(plan: AnalysisPlan, table: TrialTable, view: View, arm: number, { resamples }: Draws): Side {
  const name = plan.arms[arm]!.name
  const clusters = clustersOf(view, arm)
  const columns = columnsOf(plan, table, view, clusters)
  // Arms of one block are drawn together.
  const random = randomFor(plan.seed, 'resample', view.name, ...(view.blocks === undefined ? [name] : []))
  return {
    name,
    columns,
    clusters: clusters.count,
    drawn: resample(columns, clusters.count < 2 ? 0 : resamples, random),
  }
}

const columnsOf = (plan: AnalysisPlan, table: TrialTable, view: View, clusters: Clusters, spread = 1) =>
  plan.metrics.map(({ metric, statistics: asked }) => {
    const quantiles = asked.some((statistic) => statistic !== 'mean')
    return columnOf(view, valuesOf(table, metric), trialOf(table, metric), clusters, { spread, quantiles })
  })

const trialOf = (table: TrialTable, metric: MetricPlan['metric']) =>
  metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined

function compare(
  plan: AnalysisPlan,
  table: TrialTable,
  view: View,
  arm: number,
  baseline: number,
  ofArm: Side,
  ofBaseline: Side,
  { permutations }: Draws,
  gate: string | undefined,
): Comparison[] {
  const asked = plan.metrics.flatMap((metricPlan, which) =>
    metricPlan.statistics.map((statistic) => {
      const [a, b] = [ofArm.columns[which]!, ofBaseline.columns[which]!]
      const refusal = whyRefused({ plan, view, metric: metricPlan.metric, statistic, arm: ofArm.name, a, b, gate })
      return { metricPlan, which, statistic, a, b, refusal }
    }),
  )
  const p = asked.every(({ refusal }) => refusal !== undefined)
    ? []
    : permuted(plan, table, view, arm, baseline, permutations)
  const clusters = Math.min(ofArm.clusters, ofBaseline.clusters)
  const freedom = view.blocks === undefined ? ofArm.clusters + ofBaseline.clusters - 2 : clusters - 1
  return asked.map(({ metricPlan, which, statistic, a, b, refusal }): Comparison => {
    const { metric, minimumEffect, margin } = metricPlan
    const place = statistics.indexOf(statistic)
    const [value, reference] = [figureOf(a, statistic), figureOf(b, statistic)]
    const difference = Number.isFinite(value) && Number.isFinite(reference) ? value - reference : undefined
    const head = {
      metric,
      statistic,
      arm: ofArm.name,
      baseline: ofBaseline.name,
      view: view.name,
      ...(difference !== undefined && { difference }),
      ...(difference !== undefined && reference !== 0 && { relative: difference / reference }),
      level: LEVEL,
      ...(minimumEffect !== undefined && { minimumEffect }),
    }
    const bootstrapped =
      difference === undefined || clusters < 2
        ? undefined
        : {
            estimate: difference,
            draws: differencesOf(ofArm.drawn[which]![place]!, ofBaseline.drawn[which]![place]!),
            by: statistic === 'mean' ? ('student' as const) : ('percentile' as const),
            clusters,
            freedom,
          }
    const power = bootstrapped === undefined ? {} : powerOf(bootstrapped, minimumEffect, reference)
    if (refusal !== undefined || bootstrapped === undefined)
      return { ...head, ...power, finding: 'refused', ...(refusal !== undefined && { note: refusal }) }
    const interval = intervalOf(bootstrapped, ALPHA / 2)
    const width = margin === undefined ? 0 : lengthOf(margin, reference)
    const tested = width === 0 ? undefined : equivalence(bootstrapped, width)
    return {
      ...head,
      ...(interval !== undefined && { interval }),
      p: p[which]![place]!,
      ...(tested !== undefined && { equivalence: { margin: width, ...tested } }),
      ...power,
      finding: 'unclear',
      ...(interval === undefined && { note: 'the interval has no end: too much was never reached' }),
    }
  })
}

const differencesOf = (arm: Summary, baseline: Summary): Float64Array =>
  arm.map((value, draw) => value - baseline[draw]!).sort()

/** The p values of all metrics from the same shuffles: one more metric changes none of the others. */
function permuted(plan: AnalysisPlan, table: TrialTable, view: View, arm: number, baseline: number, draws: number) {
  const { clusters, labels } = pairOf(view, arm, baseline)
  const ofArm = labels.arm.reduce((sum, label) => sum + label, 0)
  const smaller = Math.min(ofArm, clusters.count - ofArm)
  const spread = Math.sqrt((clusters.count - smaller) / Math.max(1, smaller))
  const columns = columnsOf(plan, table, view, clusters, spread)
  return permutationTest(columns, labels, draws, randomFor(plan.seed, 'permute', view.name, plan.arms[arm]!.name))
}

function figureOf(column: SortedColumn, statistic: Statistic): number {
  return statistic === 'mean' ? column.mean : column.quantile(quantileShares[statistic])
}

const lengthOf = (effect: Effect, reference: number) =>
  'absolute' in effect ? effect.absolute : effect.share * Math.abs(reference)

function powerOf(difference: Bootstrapped, minimumEffect: Effect | undefined, reference: number) {
  const error = standardErrorOf(difference)
  if (!Number.isFinite(error) || error === 0) return {}
  const detectable = detectableDifference(error)
  const effect = minimumEffect === undefined ? 0 : lengthOf(minimumEffect, reference)
  return {
    detectable,
    ...(effect > 0 && { unitsNeeded: unitsFor(effect, { units: difference.clusters, detectable }) }),
  }
}

/** Holm over what was not refused, and what each comparison then says. */
function adjusted(comparisons: readonly Comparison[]): Comparison[] {
  const tested = comparisons.filter(({ p }) => p !== undefined)
  const pHolm = holm(tested.map(({ p }) => p!))
  const byComparison = new Map(tested.map((comparison, index) => [comparison, pHolm[index]!]))
  return comparisons.map((comparison) => {
    const found = byComparison.get(comparison)
    if (found === undefined) return comparison
    const { difference = 0, equivalence } = comparison
    const finding = equivalence?.equivalent
      ? 'equivalent'
      : found > ALPHA
        ? 'unclear'
        : difference < 0
          ? 'lower'
          : 'higher'
    return { ...comparison, pHolm: found, finding }
  })
}
