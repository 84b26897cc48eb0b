import { type AnalysisPlan, type MetricName, metrics, type Statistic } from '../core/experiment.ts'
import { LEAST_BLOCKS } from './design/experiment-checks.ts'
import { quantileShares } from './statistics/quantile.ts'
import type { SortedColumn } from './statistics/sorted-column.ts'
import type { View } from './units.ts'

/** The least that a verdict needs of each arm, from `npm run validate:statistics`: below, intervals are too narrow. */
export const LEAST_SESSIONS = 20
/** Values that are expected beyond a quantile, in each arm; and that a mean needs on either side of it. */
export const LEAST_BEYOND = 10

/** What a verdict is made from, against the least that it needs. */
export const leastUnits = (plan: AnalysisPlan) => (plan.blocks === undefined ? LEAST_SESSIONS : LEAST_BLOCKS)

const unitWord = (view: View) => (view.blocks === undefined ? 'sessions' : 'complete blocks')

interface Asked {
  readonly plan: AnalysisPlan
  readonly view: View
  readonly metric: MetricName
  readonly statistic: Statistic
  readonly sides: readonly [Side, Side]
}

interface Side {
  readonly name: string
  readonly column: SortedColumn
}

/** Why nothing can be said, in words with numbers; undefined where something can. */
export function whyRefused({ plan, view, metric, statistic, sides }: Asked): string | undefined {
  const { title, of, unit } = metrics[metric]
  const [{ column: a }, { column: b }] = sides
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
  if (statistic === 'mean') return whyNoMean({ plan, metric, sides })
  const beyond = 1 - quantileShares[statistic]
  const values = Math.min(a.size, b.size)
  const needed = Math.ceil(LEAST_BEYOND / beyond - 1e-9)
  return values >= needed
    ? undefined
    : `${statistic} needs ${needed} ${of}s in each arm; the smaller one has ${values}: about ${Math.ceil((units * needed) / values)} ${unitWord(view)} would give them`
}

/**
 * The mean of rare large values cannot be told from few of them: with 12 blocks and a value in 5 % Student's interval covers 46 %. Nor
 * can it from none: an arm whose values are all the same needs a design that makes them so.
 */
function whyNoMean({ plan, metric, sides }: Pick<Asked, 'plan' | 'metric' | 'sides'>): string | undefined {
  const { title, of, unit } = metrics[metric]
  for (const { name, column } of sides) {
    const isByDesign = plan.arms.find((arm) => arm.name === name)?.constant?.includes(metric) === true
    if (column.lowest === column.highest) {
      if (isByDesign) continue
      return `all ${column.size} ${of}s of ${name} have the same ${title}, ${column.lowest} ${unit}, and nothing in its design makes them so: what is rare may not have been seen yet, so its mean is not known`
    }
    const { below, above } = column.aroundMean()
    if (Math.min(below, above) >= LEAST_BEYOND) continue
    const [few, side] = below < above ? [below, 'below'] : [above, 'above']
    return `a mean needs ${LEAST_BEYOND} ${of}s on either side of it in each arm; ${few} of the ${column.size} of ${name} ${few === 1 ? 'is' : 'are'} ${side} their mean: compare quantiles, or make more`
  }
  return undefined
}
