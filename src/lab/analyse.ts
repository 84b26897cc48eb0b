import type { AnalysisPlan } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import type { Trial } from '../core/trial.ts'
import type { Analysis, Comparison } from './analysis.ts'
import { armSummaries, frontOf, sessionsByArm } from './arm-summaries.ts'
import { carryOverOf, whyCarriedOver } from './carry-over.ts'
import { checksOf, SAMPLE_RATIO_GATE, sampleRatioOf } from './checks.ts'
import { comparisonsOf } from './compare.ts'
import { sequencesOf } from './sequences.ts'
import { type TrialTable, tableOf } from './trial-table.ts'
import { type View, viewOf } from './units.ts'
import { conclusionOf } from './verdict.ts'

export interface AnalysisOptions {
  /** Put into the result: of which execution the trials are. */
  readonly execution?: string
  /** Shuffles of a permutation test; by default between 999 and 9,999, fewer the more data there are. */
  readonly permutations?: number
}

/**
 * All figures and the verdict of an experiment, from its trials alone. Pure: the same plan and trials give the same bytes, in
 * whatever order the trials come (of a trial that comes twice the first counts). 160 bytes of memory for a trial and 50 for an interrupt, and as much again while it works.
 */
export function analyse(plan: AnalysisPlan, trials: Iterable<Trial>, options: AnalysisOptions = {}): Analysis {
  return analyseTable(plan, tableOf(plan, trials), options)
}

/** The same of a table that `tableOf` has read, for who draws curves of it too. */
export function analyseTable(plan: AnalysisPlan, table: TrialTable, options: AnalysisOptions = {}): Analysis {
  const { permutations = permutationsFor(table) } = options
  const view = viewOf(plan, table, 'all')
  const summaries = armSummaries(plan, table)
  const carryOver = carryOverOf({ plan, table })
  const gate = gateOf('the sessions', plan, sessionsByArm(table, plan.arms.length)) ?? whyCarriedOver(carryOver)
  const comparisons = [
    ...comparisonsOf({ plan, table, view, permutations, gate }),
    ...exposedComparisons(plan, table, permutations, gate),
  ]
  const checks = checksOf(plan, table, view, comparisons, carryOver)
  return {
    schema: 'caesura.analysis/1',
    experiment: plan.experiment,
    ...present({ execution: options.execution }),
    kind: plan.kind,
    design: {
      baseline: plan.baseline,
      unit: plan.unit,
      ...present({ blocks: plan.blocks }),
      seed: plan.seed,
      permutations,
    },
    arms: summaries,
    comparisons,
    ...(plan.kind === 'live' && { sequences: sequencesOf(plan, table, view, gate) }),
    checks,
    front: frontOf(plan, summaries),
    ...conclusionOf({ plan, table, view, comparisons, checks, gate }),
  }
}

/** A shuffle costs about one pass over the sessions. At 999 the smallest p is 0.001, enough for Holm over some fifty comparisons. */
function permutationsFor({ sessions, trials, interrupts }: TrialTable): number {
  const size = sessions.length + trials.arm.length + interrupts.trial.length
  return Math.min(9_999, Math.max(999, Math.floor(2e8 / Math.max(1, size))))
}

/** Why no comparison can be trusted, if so. */
function gateOf(what: string, plan: AnalysisPlan, counts: readonly number[]): string | undefined {
  const { ok, p } = sampleRatioOf(plan, counts)
  if (ok || p === undefined) return undefined
  const split = plan.arms.map(({ name }, arm) => `${name} ${counts[arm]}`).join(', ')
  return `${what} are not split as planned (${split}; χ² p = ${p.toPrecision(2)}, below ${SAMPLE_RATIO_GATE}): something loses or adds some in one arm`
}

/** Only of live traffic, where most sessions never meet what the arms do differently. */
function exposedComparisons(
  plan: AnalysisPlan,
  table: TrialTable,
  permutations: number,
  gate: string | undefined,
): Comparison[] {
  if (plan.kind !== 'live') return []
  const view = viewOf(plan, table, 'exposed')
  const counts = unitsByArm(view, plan.arms.length)
  if (counts.every((count) => count === 0)) return []
  return comparisonsOf({ plan, table, view, permutations, gate: gate ?? gateOf('the exposed sessions', plan, counts) })
}

function unitsByArm(view: View, arms: number): number[] {
  const counts = new Array<number>(arms).fill(0)
  for (const arm of view.arm) counts[arm]! += 1
  return counts
}
