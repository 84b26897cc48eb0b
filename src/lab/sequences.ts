import { type AnalysisPlan, type MetricName, metrics } from '../core/experiment.ts'
import type { Sequence } from './analysis.ts'
import { pairsOf } from './compare.ts'
import { LEVEL } from './judge.ts'
import { sequenceReach } from './statistics/confidence-sequence.ts'
import { quantileContrast } from './statistics/contrast.ts'
import type { SortedColumn } from './statistics/sorted-column.ts'
import { type TrialTable, valuesOf } from './trial-table.ts'
import { clustersOf, columnOf, type View } from './units.ts'

/** Sessions of each arm before the first look: the sequence holds asymptotically. */
export const LEAST_TO_LOOK = 50
/** Logarithms need a length: below this, ms, a time counts as this long. */
const SHORTEST_MS = 0.1

/** Tokens and wasted time are often 0, and a ratio to 0 says nothing. */
const isLatency = (metric: MetricName) => metrics[metric].unit === 'ms' && metric !== 'wastedSlotMs'

/**
 * Ratios of medians that may be looked at after every session. All of them hold together at 95 %: each has its share of the 5 %
 * (Bonferroni). They are of the same medians as the comparisons, over all interrupts or runs; whole sessions are what is independent.
 * What was never reached counts as longer than all that were.
 */
export function sequencesOf(plan: AnalysisPlan, table: TrialTable, view: View, gate: string | undefined): Sequence[] {
  const latencies = plan.metrics.map(({ metric }) => metric).filter(isLatency)
  const compared = pairsOf(plan).filter((pair) => pair.every((arm) => plan.arms[arm]!.name !== plan.aaArm))
  const alpha = (1 - LEVEL) / Math.max(1, latencies.length * compared.length)
  return latencies.flatMap((metric) => {
    const columns = plan.arms.map((_, arm) => logarithms(table, view, metric, arm))
    return compared.map(([arm, baseline]) => {
      const [a, b] = [columns[arm]!, columns[baseline]!]
      return {
        metric,
        arm: plan.arms[arm]!.name,
        baseline: plan.arms[baseline]!.name,
        level: 1 - alpha,
        sessions: a.filled + b.filled,
        ...(gate === undefined ? lookAt(a, b, alpha) : { finding: 'refused' as const, note: gate }),
      }
    })
  })
}

/** One look at the logarithms of two arms. */
export function lookAt(
  arm: SortedColumn,
  baseline: SortedColumn,
  alpha: number,
): Pick<Sequence, 'ratio' | 'interval' | 'finding' | 'note'> {
  const fewest = Math.min(arm.filled, baseline.filled)
  if (fewest < LEAST_TO_LOOK)
    return { finding: 'refused', note: `${fewest} sessions in the smaller arm; looking begins at ${LEAST_TO_LOOK}` }
  const { estimate, ends } = quantileContrast(arm, baseline, 0.5, false)
  const [low, high] = ends(sequenceReach(arm.filled + baseline.filled, alpha)).map(Math.exp)
  if (!Number.isFinite(estimate) || !Number.isFinite(high))
    return { finding: 'refused', note: 'the interval has no end: too much was never reached' }
  return {
    ratio: Math.exp(estimate),
    interval: [low!, high!],
    finding: high! < 1 ? 'lower' : low! > 1 ? 'higher' : 'unclear',
  }
}

function logarithms(table: TrialTable, view: View, metric: MetricName, arm: number): SortedColumn {
  const values = valuesOf(table, metric).map((ms) => Math.log(Math.max(SHORTEST_MS, ms)))
  const trialOf = metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined
  return columnOf(view, values, trialOf, clustersOf(view, arm))
}
