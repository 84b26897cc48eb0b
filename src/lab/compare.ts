import {
  type AnalysisPlan,
  type MetricName,
  type MetricPlan,
  metrics,
  type Statistic,
  statistics,
} from '../core/experiment.ts'
import type { Comparison } from './analysis.ts'
import { type Compared, comparisonOf } from './comparison.ts'
import { judged } from './judge.ts'
import { whyRefused } from './refusal.ts'
import { permutationTest } from './statistics/permutation.ts'
import { randomFor } from './statistics/random.ts'
import type { SortedColumn } from './statistics/sorted-column.ts'
import { type TrialTable, valuesOf } from './trial-table.ts'
import { type Clusters, clustersOf, columnOf, pairOf, type View } from './units.ts'

/** What all comparisons of one view are made from. */
export interface Compare {
  readonly plan: AnalysisPlan
  readonly table: TrialTable
  readonly view: View
  /** Shuffles of a permutation test. */
  readonly permutations: number
  /** Why no comparison can be trusted, if so. */
  readonly gate: string | undefined
}

/** One arm of a view: its values by metric. */
interface Side {
  readonly arm: number
  readonly name: string
  readonly columns: readonly SortedColumn[]
}

/** Places of the arms that are compared, each with what it is compared with: the baseline, unless the plan asks for other pairs. */
export function pairsOf({ arms, baseline, pairs }: AnalysisPlan): readonly (readonly [arm: number, with_: number])[] {
  const place = (name: string) => arms.findIndex((arm) => arm.name === name)
  if (pairs === undefined)
    return arms.flatMap(({ name }, arm) => (name === baseline ? [] : [[arm, place(baseline)] as const]))
  return pairs.map(([arm, other]) => [place(arm), place(other)] as const)
}

/** The pairs of the plan, in the order of pairs, metrics and statistics; those with the A/A arm last. */
export function comparisonsOf(compare: Compare): Comparison[] {
  const { plan } = compare
  const sides = new Map<number, Side>()
  const sideOf = (arm: number) => {
    const side = sides.get(arm) ?? sideFor(compare, arm)
    sides.set(arm, side)
    return side
  }
  const compared = pairsOf(plan).map(([arm, other]) => ({
    isAa: plan.aaArm !== undefined && [arm, other].some((each) => plan.arms[each]!.name === plan.aaArm),
    found: comparePair(compare, sideOf(arm), sideOf(other)),
  }))
  const family = (aa: boolean) => judged(compared.filter(({ isAa }) => isAa === aa).flatMap(({ found }) => found))
  return [...family(false), ...family(true)]
}

function sideFor(compare: Compare, arm: number): Side {
  return { arm, name: compare.plan.arms[arm]!.name, columns: columnsOf(compare, clustersOf(compare.view, arm)) }
}

const columnsOf = ({ plan, table, view }: Compare, clusters: Clusters, spread = 1) =>
  plan.metrics.map(({ metric, statistics: asked }) => {
    const quantiles = asked.some((statistic) => statistic !== 'mean')
    return columnOf(view, valuesOf(table, metric), trialOf(table, metric), clusters, { spread, quantiles })
  })

const trialOf = (table: TrialTable, metric: MetricPlan['metric']) =>
  metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined

function comparePair(compare: Compare, arm: Side, baseline: Side): Compared[] {
  const { plan, view, gate } = compare
  const asked = plan.metrics.flatMap((metricPlan, which) =>
    metricPlan.statistics.map((statistic) => {
      const [a, b] = [arm.columns[which]!, baseline.columns[which]!]
      const sides = [
        { name: arm.name, column: a },
        { name: baseline.name, column: b },
      ] as const
      const refusal = gate ?? whyRefused({ plan, view, metric: metricPlan.metric, statistic, sides })
      return { metricPlan, which, statistic, sides, refusal }
    }),
  )
  const p = asked.every(({ refusal }) => refusal !== undefined) ? [] : permuted(compare, arm, baseline)
  return asked.map(({ metricPlan, which, statistic, sides, refusal }) =>
    comparisonOf({
      ...{ metricPlan, statistic, sides, refusal, mark: countedApart(compare, metricPlan.metric, arm, baseline) },
      view: view.name,
      paired: view.blocks !== undefined,
      permuted: p[which]?.[statistics.indexOf(statistic satisfies Statistic)],
    }),
  )
}

/** Says so where tokens of the two arms were not counted by the same: the server in one, pieces of text, an estimate, in the other. */
function countedApart({ table }: Compare, metric: MetricName, arm: Side, baseline: Side): string | undefined {
  if (metrics[metric].unit !== 'tokens') return undefined
  const [a, b] = [arm, baseline].map((side) => ({ ...side, who: table.counts[side.arm]!.counted }))
  const known = ({ server, pieces, both }: NonNullable<typeof a>['who']) => [server > 0, pieces + both > 0].join()
  if (known(a!.who) === known(b!.who)) return undefined
  const words = [a!, b!].map(({ name, who: { server, pieces, both, unknown } }) => {
    const all = server + pieces + both + unknown
    return pieces + both === 0
      ? `those of ${name} by the server`
      : `tokens of ${pieces + both} of ${all} runs of ${name} are counted from pieces of text, which is an estimate`
  })
  return `counted in two ways: ${words.toSorted().reverse().join(', ')}`
}

/** The p values of all metrics from the same shuffles: one more metric changes none of the others. */
function permuted(compare: Compare, arm: Side, baseline: Side) {
  const { plan, view, permutations } = compare
  const { clusters, labels } = pairOf(view, arm.arm, baseline.arm)
  const ofArm = labels.arm.reduce((sum, label) => sum + label, 0)
  const smaller = Math.min(ofArm, clusters.count - ofArm)
  const spread = Math.sqrt((clusters.count - smaller) / Math.max(1, smaller))
  const columns = columnsOf(compare, clusters, spread)
  const against = baseline.name === plan.baseline ? [] : [baseline.name]
  return permutationTest(
    columns,
    labels,
    permutations,
    randomFor(plan.seed, 'permute', view.name, arm.name, ...against),
  )
}
