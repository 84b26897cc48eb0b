import type { MetricPlan } from '../../src/core/experiment.ts'
import { analyseTable } from '../../src/lab/analyse.ts'
import type { Comparison } from '../../src/lab/analysis.ts'
import { randomFor } from '../../src/lab/statistics/random.ts'
import { tableOf } from '../../src/lab/trial-table.ts'
import { type Design, planOf, simulatedTrials } from './simulated.ts'

/** Many experiments of one kind. */
export interface Batch {
  readonly design: Design
  /** Sessions of each arm, or blocks. */
  readonly units: number
  /** What the second arm's figures are multiplied by; 1 for none. */
  readonly factor: number
  readonly seed: number
  /** The first experiment's number, and the one after the last. */
  readonly from: number
  readonly to: number
  readonly metrics: readonly MetricPlan[]
  /** The true differences, by `keyOf`; those that are not there are 0. */
  readonly truth: Readonly<Record<string, number>>
  /** Analyse as if each trial were a session of its own: the error that the simulation has to notice. */
  readonly ignoreSessions?: boolean
}

/** What was counted of one figure. */
export interface Tally {
  /** Experiments in which it was not refused. */
  tested: number
  /** p ≤ 0.05. */
  rejected: number
  /** The interval holds the true difference. */
  covered: number
  /** TOST says equivalent. */
  equivalent: number
  /** The sum of the differences that would be found in 80 % of experiments. */
  detectable: number
}

export interface Measured {
  experiments: number
  /** Experiments in which any p after Holm is ≤ 0.05. */
  familyWise: number
  readonly figures: Record<string, Tally>
}

const ALPHA = 0.05

/** Enough for what is counted here, which is at 5 %: 10 of 200. */
const DRAWS = { permutations: 199 }

export const keyOf = ({ metric, statistic }: Pick<Comparison, 'metric' | 'statistic'>) => `${metric} ${statistic}`

export function measure({ from, to, truth, ignoreSessions = false, ...world }: Batch): Measured {
  const measured: Measured = { experiments: 0, familyWise: 0, figures: {} }
  for (let number = from; number < to; number++) {
    const seed = randomFor(world.seed, world.design, String(world.units), String(world.factor), String(number)).next()
    const own = { ...world, seed }
    const trials = simulatedTrials(own)
    const analysed = ignoreSessions ? Array.from(trials, (trial) => ({ ...trial, session: trial.runId })) : trials
    const table = tableOf(planOf(own, world.metrics), analysed)
    const comparisonsOf = (metrics: readonly MetricPlan[]) =>
      analyseTable(planOf(own, metrics), table, DRAWS).comparisons
    measured.experiments += 1
    if (world.factor === 1 && comparisonsOf(world.metrics).some(({ pHolm }) => pHolm !== undefined && pHolm <= ALPHA))
      measured.familyWise += 1
    // Each figure alone: an interval among others is at the level that Holm leaves it.
    for (const plan of world.metrics)
      for (const statistic of plan.statistics)
        for (const comparison of comparisonsOf([{ ...plan, statistics: [statistic] }]))
          count(measured, comparison, truth[keyOf(comparison)] ?? 0)
  }
  return measured
}

function count({ figures }: Measured, comparison: Comparison, truth: number): void {
  const { p, interval, equivalence, detectable } = comparison
  const tally = tallyOf(figures, keyOf(comparison))
  if (p === undefined) return
  tally.tested += 1
  if (p <= ALPHA) tally.rejected += 1
  if (interval !== undefined && interval[0] <= truth && truth <= interval[1]) tally.covered += 1
  if (equivalence?.equivalent) tally.equivalent += 1
  tally.detectable += detectable ?? 0
}

export function tallyOf(figures: Record<string, Tally>, key: string): Tally {
  figures[key] ??= { tested: 0, rejected: 0, covered: 0, equivalent: 0, detectable: 0 }
  return figures[key]
}
