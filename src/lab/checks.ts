import type { AnalysisPlan } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import type { CarryOver, Checks, Comparison } from './analysis.ts'
import { sessionsByArm } from './arm-summaries.ts'
import { leastUnits } from './refusal.ts'
import { chiSquareAbove, chiSquareOf } from './statistics/chi-square.ts'
import { quantileOf } from './statistics/quantile.ts'
import type { TrialTable } from './trial-table.ts'
import { clustersOf, type View } from './units.ts'

/** Below this p the sessions are not split as they were meant to be, and no figure can be trusted. */
export const SAMPLE_RATIO_GATE = 0.001
const AA_ALPHA = 0.05
/** A start that is later than this, ms, is late: timers are off by a few. */
const LATE_MS = 10

type SampleRatio = Checks['sampleRatio']

/** χ² of counts by arm against the arms' weights. */
export function sampleRatioOf(plan: AnalysisPlan, counts: readonly number[]): SampleRatio {
  const weights = plan.arms.map(({ weight }) => weight)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const shares = weights.map((weight) => weight / total)
  const all = counts.reduce((sum, count) => sum + count, 0)
  const byName = (figure: (arm: number) => number) =>
    Object.fromEntries(plan.arms.map(({ name }, arm) => [name, figure(arm)]))
  const freedom = shares.filter((share) => share > 0).length - 1
  const p = freedom < 1 || all === 0 ? undefined : chiSquareAbove(chiSquareOf(counts, shares), freedom)
  return {
    ...present({ p }),
    ok: p === undefined || p >= SAMPLE_RATIO_GATE,
    expected: byName((arm) => all * shares[arm]!),
    observed: byName((arm) => counts[arm]!),
  }
}

export function checksOf(
  plan: AnalysisPlan,
  table: TrialTable,
  view: View,
  comparisons: readonly Comparison[],
  carryOver: CarryOver | undefined,
): Checks {
  const have = Math.min(...plan.arms.map((_, arm) => clustersOf(view, arm).count))
  const needed = leastUnits(plan)
  const lag = lagOf(table)
  return {
    sampleRatio: sampleRatioOf(plan, sessionsByArm(table, plan.arms.length)),
    units: { have, needed, ok: have >= needed },
    ...present({ blocks: view.blocks }),
    ...(plan.aaArm !== undefined && { aa: aaOf(plan.aaArm, comparisons) }),
    ...present({ carryOver }),
    ...(table.duplicates > 0 && { duplicates: { leftOut: table.duplicates, ok: false } as const }),
    ...present({ lag }),
  }
}

/** The least p of the A/A arm, adjusted for how many there are. */
function aaOf(arm: string, comparisons: readonly Comparison[]): NonNullable<Checks['aa']> {
  const found = comparisons.flatMap((each) => (each.arm === arm && each.pHolm !== undefined ? [each.pHolm] : []))
  return found.length === 0 ? { arm, ok: true } : { arm, p: Math.min(...found), ok: Math.min(...found) >= AA_ALPHA }
}

function lagOf({ trials: { lagMs } }: TrialTable): Checks['lag'] {
  const sorted = lagMs.filter((value) => !Number.isNaN(value)).sort()
  if (sorted.length === 0) return undefined
  const late = sorted.reduce((count, value) => count + (value > LATE_MS ? 1 : 0), 0)
  return { p50Ms: quantileOf(sorted, 0.5), p99Ms: quantileOf(sorted, 0.99), share: late / sorted.length }
}
