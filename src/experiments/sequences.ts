import { type AnalysisPlan, type MetricName, metrics } from '../core/experiment.ts'
import type { Sequence } from './analysis.ts'
import { LEVEL } from './compare.ts'
import { Moments, meanSequence } from './statistics/confidence-sequence.ts'
import { type TrialTable, valuesOf } from './trial-table.ts'
import type { View } from './units.ts'

/** Sessions of each arm before the first look: the sequence holds asymptotically, and sessions are skewed. */
export const LEAST_TO_LOOK = 50
/** Logarithms need a length: below this, ms, a time counts as this long. */
const SHORTEST_MS = 0.1

/** Tokens and wasted time are often 0, and a ratio to 0 says nothing. */
const isLatency = (metric: MetricName) => metrics[metric].unit === 'ms' && metric !== 'wastedSlotMs'

/**
 * Ratios of geometric means that may be looked at after every session. All of them hold together at 95 %: each has its share of
 * the 5 % (Bonferroni). Sessions are the observations: each counts once, with the mean logarithm of its values. What was never
 * reached counts with the time until its run ended, which is too short; `note` says how many there were.
 */
export function sequencesOf(plan: AnalysisPlan, table: TrialTable, view: View, gate: string | undefined): Sequence[] {
  const baseline = plan.arms.findIndex(({ name }) => name === plan.baseline)
  const latencies = plan.metrics.map(({ metric }) => metric).filter(isLatency)
  const compared = plan.arms.flatMap(({ name }, arm) => (arm === baseline || name === plan.aaArm ? [] : [arm]))
  const alpha = (1 - LEVEL) / Math.max(1, latencies.length * compared.length)
  return latencies.flatMap((metric) => {
    const sessions = meanLogs(table, view, metric, plan.arms.length)
    return compared.map((arm): Sequence => {
      const [a, b] = [sessions.means[arm]!, sessions.means[baseline]!]
      const head = {
        metric,
        arm: plan.arms[arm]!.name,
        baseline: plan.baseline,
        level: 1 - alpha,
        sessions: a.count + b.count,
      }
      const fewest = Math.min(a.count, b.count)
      if (gate !== undefined) return { ...head, finding: 'refused', note: gate }
      if (fewest < LEAST_TO_LOOK)
        return {
          ...head,
          finding: 'refused',
          note: `${fewest} sessions in the smaller arm; looking begins at ${LEAST_TO_LOOK}`,
        }
      const { difference, interval } = meanSequence(a, b, alpha)
      const [low, high] = [Math.exp(interval[0]), Math.exp(interval[1])] as const
      const censored = sessions.censored[arm]! + sessions.censored[baseline]!
      return {
        ...head,
        ratio: Math.exp(difference),
        interval: [low, high],
        finding: high < 1 ? 'lower' : low > 1 ? 'higher' : 'unclear',
        ...(censored > 0 && { note: `${censored} that were never reached count with the time until their run ended` }),
      }
    })
  })
}

/** For each arm the moments of its sessions' mean logarithms; sessions in the order of their names. */
function meanLogs(table: TrialTable, view: View, metric: MetricName, arms: number) {
  const values = valuesOf(table, metric)
  const ofInterrupt = metrics[metric].of === 'interrupt'
  const [sums, counts] = [new Float64Array(view.arm.length), new Uint32Array(view.arm.length)]
  const censored = new Array<number>(arms).fill(0)
  for (let index = 0; index < values.length; index++) {
    const trial = ofInterrupt ? table.interrupts.trial[index]! : index
    const unit = view.unitOfTrial[trial]!
    if (unit < 0 || Number.isNaN(values[index])) continue
    const isCensored = values[index] === Infinity
    const ms = !isCensored
      ? values[index]!
      : ofInterrupt
        ? table.interrupts.lostAfterMs[index]!
        : table.trials.runMs[trial]!
    if (isCensored) censored[view.arm[unit]!]! += 1
    sums[unit]! += Math.log(Math.max(SHORTEST_MS, ms))
    counts[unit]! += 1
  }
  const means = Array.from({ length: arms }, () => new Moments())
  for (let unit = 0; unit < sums.length; unit++)
    if (counts[unit]! > 0) means[view.arm[unit]!]!.add(sums[unit]! / counts[unit]!)
  return { means, censored }
}
