import { type AnalysisPlan, metrics } from '../core/experiment.ts'
import type { Drift } from './curves.ts'
import { quantileOf } from './statistics/quantile.ts'
import { type TrialTable, valuesOf } from './trial-table.ts'
import type { View } from './units.ts'

const MOST_POINTS = 200
/** Without blocks, so many values of each arm are wanted in a stretch of time. */
const VALUES_A_STRETCH = 20

/**
 * Medians of the first metric as the experiment went on. `at` is the place of the block among the complete ones, or the Unix time
 * in ms at which a stretch begins; more than 200 blocks are put together by neighbours. Medians that were never reached are left out.
 */
export function driftOf(plan: AnalysisPlan, table: TrialTable, view: View): Drift[] {
  const metric = plan.metrics[0]?.metric
  if (metric === undefined || view.arm.length === 0) return []
  const values = valuesOf(table, metric)
  const trialOf = metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined
  const stretches = view.blocks === undefined ? stretchesOfTime(plan, table, values.length) : stretchesOfBlocks(view)
  const groups = plan.arms.map(() => Array.from({ length: stretches.count }, (): number[] => []))
  for (let index = 0; index < values.length; index++) {
    const trial = trialOf === undefined ? index : trialOf[index]!
    if (view.unitOfTrial[trial]! < 0 || Number.isNaN(values[index])) continue
    groups[table.trials.arm[trial]!]![stretches.of(trial)]!.push(values[index]!)
  }
  return plan.arms.map(({ name }, arm) => ({
    arm: name,
    by: view.blocks === undefined ? ('time' as const) : ('block' as const),
    points: groups[arm]!.flatMap((group, place) => {
      const median = quantileOf(Float64Array.from(group).sort(), 0.5)
      return Number.isFinite(median) ? [{ at: stretches.at(place), median, n: group.length }] : []
    }),
  }))
}

function stretchesOfBlocks({ blocks, block, unitOfTrial }: View) {
  const together = Math.ceil(blocks!.complete / MOST_POINTS)
  return {
    count: Math.ceil(blocks!.complete / together),
    of: (trial: number) => Math.floor(block[unitOfTrial[trial]!]! / together),
    at: (place: number) => place * together,
  }
}

function stretchesOfTime(plan: AnalysisPlan, { trials: { startedUnixMs } }: TrialTable, values: number) {
  let [first, last] = [Infinity, -Infinity]
  for (const started of startedUnixMs) {
    first = Math.min(first, started)
    last = Math.max(last, started)
  }
  const wanted = Math.floor(values / plan.arms.length / VALUES_A_STRETCH)
  const count = first === last ? 1 : Math.min(MOST_POINTS, Math.max(1, wanted))
  const length = Math.max(1e-9, (last - first) / count)
  return {
    count,
    of: (trial: number) => Math.min(count - 1, Math.floor((startedUnixMs[trial]! - first) / length)),
    at: (place: number) => first + place * length,
  }
}
