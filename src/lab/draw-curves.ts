import { type AnalysisPlan, type MetricName, metrics } from '../core/experiment.ts'
import type { Trial } from '../core/trial.ts'
import { interruptClouds } from './clouds.ts'
import type { Curves, QuantileCurve } from './curves.ts'
import { driftOf } from './drift.ts'
import { eachResample } from './statistics/bootstrap.ts'
import { quantileOf } from './statistics/quantile.ts'
import { randomFor } from './statistics/random.ts'
import { type TrialTable, tableOf, valuesOf } from './trial-table.ts'
import { clustersOf, columnOf, type View, viewOf } from './units.ts'

const shares = Array.from({ length: 99 }, (_, index) => (index + 1) / 100)
const MOST_DRAWS = 999
const FEWEST_DRAWS = 199

/** What a report draws, from the trials alone. Pure, as `analyse` is. Incomplete blocks are left out, as in the comparisons. */
export function curvesOf(plan: AnalysisPlan, trials: Iterable<Trial>): Curves {
  return curvesOfTable(plan, tableOf(plan, trials))
}

/** The same of a table that `tableOf` has read. */
export function curvesOfTable(plan: AnalysisPlan, table: TrialTable): Curves {
  const view = viewOf(plan, table, 'all')
  const drawn = plan.metrics.map(({ metric }) => metric).filter((metric) => metrics[metric].unit !== 'share')
  return {
    quantiles: drawn.flatMap((metric) => plan.arms.flatMap((_, arm) => quantileCurve(plan, table, view, metric, arm))),
    clouds: interruptClouds(plan, table, view),
    drift: driftOf(plan, table, view),
  }
}

function quantileCurve(
  plan: AnalysisPlan,
  table: TrialTable,
  view: View,
  metric: MetricName,
  arm: number,
): QuantileCurve[] {
  const { name } = plan.arms[arm]!
  const clusters = clustersOf(view, arm)
  const trialOf = metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined
  const column = columnOf(view, valuesOf(table, metric), trialOf, clusters)
  if (column.size === 0) return []
  const draws = clusters.count < 2 ? 0 : Math.min(MOST_DRAWS, Math.max(FEWEST_DRAWS, Math.floor(2e7 / column.size)))
  const drawn = shares.map(() => new Float64Array(draws))
  const quantiles = new Float64Array(shares.length)
  eachResample(clusters.count, draws, randomFor(plan.seed, 'curve', metric, name), (weights, draw) => {
    column.quantilesUnder(weights, shares, quantiles)
    for (let which = 0; which < shares.length; which++) drawn[which]![draw] = quantiles[which]!
  })
  const points = shares.flatMap((q, which) => {
    const value = column.quantile(q)
    if (!Number.isFinite(value)) return []
    const sorted = drawn[which]!.sort()
    const [low, high] = [Math.min(value, quantileOf(sorted, 0.025)), Math.max(value, quantileOf(sorted, 0.975))]
    return [{ q, value, ...(Number.isFinite(low) && { low }), ...(Number.isFinite(high) && { high }) }]
  })
  return [{ metric, arm: name, points, censoredShare: column.censored / column.size }]
}
