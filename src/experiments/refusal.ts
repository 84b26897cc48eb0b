import { type AnalysisPlan, type MetricName, metrics, type Statistic } from '../core/experiment.ts'
import { LEAST_BLOCKS } from '../core/experiment-checks.ts'
import { quantileShares } from './statistics/quantile.ts'
import type { SortedColumn } from './statistics/sorted-column.ts'
import type { View } from './units.ts'

/** The least that a verdict needs of each arm, from `npm run validate:statistics`: below, intervals are too narrow. */
export const LEAST_SESSIONS = 20
/** Values that are expected beyond a quantile, in each arm. */
export const LEAST_BEYOND = 10

/** What a verdict is made from, against the least that it needs. */
export const leastUnits = (plan: AnalysisPlan) => (plan.blocks === undefined ? LEAST_SESSIONS : LEAST_BLOCKS)

const unitWord = (view: View) => (view.blocks === undefined ? 'sessions' : 'complete blocks')

interface Asked {
  readonly plan: AnalysisPlan
  readonly view: View
  readonly metric: MetricName
  readonly statistic: Statistic
  readonly arm: string
  readonly a: SortedColumn
  readonly b: SortedColumn
  /** Why there are no verdicts at all. */
  readonly gate: string | undefined
}

/** Why nothing can be said, in words with numbers; undefined where something can. */
export function whyRefused({ plan, view, metric, statistic, arm, a, b, gate }: Asked): string | undefined {
  if (gate !== undefined) return gate
  const { title, of, unit } = metrics[metric]
  const sides = [
    { name: arm, column: a },
    { name: plan.baseline, column: b },
  ]
  for (const { name, column } of sides) if (column.size === 0) return `${name} has no ${of} with a value of ${title}`
  for (const { name, column } of sides) {
    const { size, censored } = column
    if (censored === size) return `none of the ${size} ${of}s of ${name} has a value of ${title}: all were lost`
    if (statistic === 'mean') {
      if (censored > 0)
        return `${censored} of the ${size} ${of}s of ${name} were never reached, so there is no mean: compare quantiles`
    } else if (!Number.isFinite(column.quantile(quantileShares[statistic])))
      return `the ${statistic} of ${name} falls among the ${censored} of ${size} ${of}s that were never reached`
  }
  if (a.lowest === a.highest && b.lowest === b.highest && a.lowest === b.lowest)
    return `all ${a.size + b.size} values of both arms are ${a.lowest} ${unit}: there is nothing to test`
  const least = leastUnits(plan)
  const units = Math.min(a.filled, b.filled)
  if (units < least) return `${units} ${unitWord(view)} of the smaller arm have a value; a verdict needs ${least}`
  if (statistic === 'mean') return undefined
  const beyond = 1 - quantileShares[statistic]
  const values = Math.min(a.size, b.size)
  const needed = Math.ceil(LEAST_BEYOND / beyond - 1e-9)
  return values >= needed
    ? undefined
    : `${statistic} needs ${needed} ${of}s in each arm; the smaller one has ${values}: about ${Math.ceil((units * needed) / values)} ${unitWord(view)} would give them`
}
