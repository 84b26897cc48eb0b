import { type AnalysisPlan, type MetricName, metrics, type Statistic } from '../core/experiment.ts'
import type { CarryOver, CarryOverEstimate, Comparison } from './analysis.ts'
import { intervalOf, meanContrast, pOfNone, quantileContrast } from './statistics/contrast.ts'
import { holm } from './statistics/holm.ts'
import { quantileOf } from './statistics/quantile.ts'
import { SortedColumn } from './statistics/sorted-column.ts'
import { type TrialTable, valuesOf } from './trial-table.ts'

/** Below this p, over all that are looked at, what ran before changes what comes after: one experiment in a hundred says so by chance. */
const ALPHA = 0.01
/** Trials after each arm that an estimate needs, and of one arm that they take part in it. */
const LEAST = 10
const LEAST_OF_ARM = 4
/** A server that is still busy delays the first token of whatever comes. */
const ALWAYS: readonly MetricName[] = ['firstTokenMs', 'runMs']

interface Asked {
  readonly plan: AnalysisPlan
  readonly table: TrialTable
}

/**
 * What the trials of an arm leave to the next one on the same server: trials that follow it against trials that follow other arms, each
 * less the median or the mean of its own arm. Undefined where trials were not made one after the other, or where there are too few.
 */
export function carryOverOf({ plan, table }: Asked): CarryOver | undefined {
  if (plan.sequential !== true || plan.kind !== 'offline') return undefined
  const before = predecessors(table)
  const asked = [...new Set([...plan.metrics.map(({ metric }) => metric), ...ALWAYS])].filter(isTime)
  // With two arms, after one of them is not after the other.
  const arms = plan.arms.length === 2 ? [plan.arms.findIndex(({ name }) => name !== plan.baseline)] : plan.arms.keys()
  const estimates = [...arms].flatMap((arm) =>
    asked.flatMap((metric) =>
      (['p50', 'mean'] as const).flatMap((statistic) =>
        estimateOf({ plan, table }, before, { arm, metric, statistic }),
      ),
    ),
  )
  const adjusted = holm(
    estimates.map(({ p }) => p),
    ALPHA,
  )
  const after = estimates.map((estimate, index) => ({ ...estimate, p: adjusted[index]!.p }))
  const [strongest] = after.toSorted((a, b) => a.p - b.p || width(a) - width(b))
  return strongest && { ...strongest, ok: strongest.p > ALPHA, estimates: after }
}

/** Why no comparison can be trusted, and what would mend it. */
export function whyCarriedOver(carryOver: CarryOver | undefined): string | undefined {
  if (carryOver === undefined || carryOver.ok) return undefined
  const { metric, statistic, after, difference, interval } = carryOver
  const [low, high] = difference < 0 ? [-interval[1], -interval[0]] : interval
  const ms = (value: number) => Number(value.toPrecision(3))
  const where = statistic === 'mean' ? 'on average' : 'at the median'
  return `what ran before changes what comes after: in ${metrics[metric].title}, runs that follow ${after} on the same server take ${ms(Math.abs(difference))} ms ${difference < 0 ? 'less' : 'more'} ${where} than runs that follow other arms (95 % interval ${ms(low)} to ${ms(high)} ms). Give the experiment a \`washout\` that is longer than what an arm leaves behind, or each arm a node of its own`
}

/** What of carry-over was not excluded and is as large as a difference that was found, though none was found of it. */
export function couldExplain(
  { ok, estimates }: CarryOver,
  { metric, statistic, difference = 0 }: Comparison,
): CarryOverEstimate | undefined {
  if (!ok) return undefined
  return estimates.find(
    (each) =>
      each.metric === metric &&
      each.statistic === (statistic === 'mean' ? 'mean' : 'p50') &&
      Math.max(-each.interval[0], each.interval[1]) >= Math.abs(difference),
  )
}

const isTime = (metric: MetricName) => metrics[metric].unit === 'ms' && metric !== 'wastedSlotMs' && metric !== 'slotMs'
const width = ({ interval: [low, high] }: Pick<CarryOver, 'interval'>) => high - low

/** Of each trial the arm of the one that was made before it on the same server; −1 for none. */
function predecessors({ trials }: TrialTable): Int32Array {
  const order = Uint32Array.from(trials.arm, (_, index) => index).sort(
    (a, b) => trials.trial[a]! - trials.trial[b]! || trials.startedUnixMs[a]! - trials.startedUnixMs[b]!,
  )
  const last = new Map<number, number>()
  const before = new Int32Array(order.length).fill(-1)
  for (const trial of order) {
    before[trial] = last.get(trials.node[trial]!) ?? -1
    last.set(trials.node[trial]!, trials.arm[trial]!)
  }
  return before
}

function estimateOf(
  { plan, table }: Asked,
  before: Int32Array,
  { arm, metric, statistic }: { arm: number; metric: MetricName; statistic: Statistic },
) {
  const values = valuesOf(table, metric)
  const trialOf = metrics[metric].of === 'interrupt' ? table.interrupts.trial : undefined
  // Of each arm, those after the one that is asked for, and the others.
  const split = plan.arms.map((): [number[], number[]] => [[], []])
  for (let index = 0; index < values.length; index++) {
    const trial = trialOf === undefined ? index : trialOf[index]!
    if (before[trial] === -1 || !Number.isFinite(values[index])) continue
    split[table.trials.arm[trial]!]![before[trial] === arm ? 0 : 1].push(values[index]!)
  }
  const [after, other]: [number[], number[]] = [[], []]
  for (const [ofArm, rest] of split) {
    // An arm that always has the same one before it tells nothing.
    if (Math.min(ofArm.length, rest.length) < LEAST_OF_ARM) continue
    const centre = centreOf([...ofArm, ...rest], statistic)
    after.push(...ofArm.map((value) => value - centre))
    other.push(...rest.map((value) => value - centre))
  }
  if (Math.min(after.length, other.length) < LEAST) return []
  const [a, b] = [after, other].map(
    (each) => new SortedColumn(Float64Array.from(each), Uint32Array.from(each.keys()), each.length),
  )
  const contrast = statistic === 'mean' ? meanContrast(a!, b!, false) : quantileContrast(a!, b!, 0.5, false)
  const interval = intervalOf(contrast, 0.025)
  if (interval === undefined) return []
  return [
    {
      ...{ metric, statistic, after: plan.arms[arm]!.name, difference: contrast.estimate, interval },
      p: pOfNone(contrast).p,
    },
  ]
}

function centreOf(values: readonly number[], statistic: Statistic): number {
  const sorted = Float64Array.from(values).sort()
  return statistic === 'mean' ? sorted.reduce((sum, value) => sum + value, 0) / sorted.length : quantileOf(sorted, 0.5)
}
