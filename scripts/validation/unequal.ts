import { analyse } from '../../src/lab/analyse.ts'
import type { Comparison } from '../../src/lab/analysis.ts'
import { leavesOut } from '../../src/lab/statistics/contrast.ts'
import { randomFor } from '../../src/lab/statistics/random.ts'
import { trueDifference, type UnequalWorld, unequalPlan, unequalTrials } from './worlds.ts'

/** Many experiments in one world. */
export interface UnequalBatch {
  readonly world: Omit<UnequalWorld, 'seed'>
  readonly seed: number
  /** The first experiment's number, and the one after the last. */
  readonly from: number
  readonly to: number
}

export interface UnequalMeasured {
  experiments: number
  /** Experiments with a finding that is not so: any where there is no difference, of the wrong sign where there is one. */
  wrong: number
  /** Findings, whether they are so or not. */
  found: number
  /** Intervals that were shown, and those of them that hold the true difference. */
  shown: number
  covered: number
  /** Statements in which the finding and the interval disagree. */
  disagreed: number
}

const DRAWS = { permutations: 199 }

export const noUnequal = (): UnequalMeasured => ({
  experiments: 0,
  wrong: 0,
  found: 0,
  shown: 0,
  covered: 0,
  disagreed: 0,
})

export function measureUnequal({ world, seed, from, to }: UnequalBatch): UnequalMeasured {
  const measured = noUnequal()
  const truth = trueDifference({ ...world, seed })
  for (let number = from; number < to; number++) {
    const own = { ...world, seed: randomFor(seed, JSON.stringify(world), String(number)).next() }
    const { comparisons } = analyse(unequalPlan(own), unequalTrials(own), DRAWS)
    measured.experiments += 1
    if (comparisons.some((each) => isFound(each) && (truth === 0 || signOf(each) !== Math.sign(truth))))
      measured.wrong += 1
    for (const each of comparisons) {
      if (isFound(each)) measured.found += 1
      if (disagrees(each)) measured.disagreed += 1
      if (each.interval === undefined) continue
      measured.shown += 1
      if (!leavesOut(each.interval, truth)) measured.covered += 1
    }
  }
  return measured
}

const isFound = ({ finding }: Comparison) => finding === 'lower' || finding === 'higher'
const signOf = ({ finding }: Comparison) => (finding === 'lower' ? -1 : 1)

/** A finding has an interval on its own side of 0, and what is unclear has one that holds 0. */
export function disagrees({ finding, interval, pHolm }: Comparison): boolean {
  if (finding === 'refused') return interval !== undefined || pHolm !== undefined
  if (interval === undefined || pHolm === undefined) return true
  if (finding === 'lower') return interval[1] >= 0 || pHolm > 0.05
  if (finding === 'higher') return interval[0] <= 0 || pHolm > 0.05
  return finding === 'unclear' && (leavesOut(interval, 0) || pHolm <= 0.05)
}
