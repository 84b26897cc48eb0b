import type { Effect, MetricPlan, Statistic } from '../core/experiment.ts'
import { present } from '../core/present.ts'
import type { Comparison } from './analysis.ts'
import { type Contrast, meanContrast, pOfNone, quantileContrast, standardErrorOf } from './statistics/contrast.ts'
import { equivalence } from './statistics/equivalence.ts'
import { detectableDifference, unitsFor } from './statistics/power.ts'
import { quantileShares } from './statistics/quantile.ts'
import type { SortedColumn } from './statistics/sorted-column.ts'

/** A comparison before it is judged together with the others of its family, and what it is judged by. */
export interface Compared {
  readonly comparison: Omit<Comparison, 'level' | 'interval' | 'pHolm' | 'finding'>
  /** Absent where nothing is said. */
  readonly contrast?: Contrast
  /** The widest interval that leaves 0 out. */
  readonly without0?: readonly [number, number]
}

interface Asked {
  readonly metricPlan: MetricPlan
  readonly statistic: Statistic
  readonly sides: readonly [Named, Named]
  readonly refusal: string | undefined
  /** What a finding must be read with. */
  readonly mark: string | undefined
  readonly view: Comparison['view']
  readonly paired: boolean
  /** The p of the permutation test. */
  readonly permuted: number | undefined
}

interface Named {
  readonly name: string
  readonly column: SortedColumn
}

const NO_END = 'the interval has no end: too much was never reached'

/** One figure of two arms: its difference, p, power and equivalence. What it is at its level, `judged` says. */
export function comparisonOf(asked: Asked): Compared {
  const { metricPlan, statistic, sides, refusal, mark, view, paired, permuted } = asked
  const { metric, minimumEffect, margin } = metricPlan
  const [{ name: arm, column: a }, { name: baseline, column: b }] = sides
  const [value, reference] = [figureOf(a, statistic), figureOf(b, statistic)]
  const difference = Number.isFinite(value) && Number.isFinite(reference) ? value - reference : undefined
  const head = {
    ...{ metric, statistic, arm, baseline, view },
    ...present({ difference }),
    ...(difference !== undefined && reference !== 0 && { relative: difference / reference }),
    ...present({ minimumEffect }),
  }
  const units = Math.min(a.filled, b.filled)
  const contrast = difference === undefined || units < 2 ? undefined : contrastOf(statistic, a, b, paired)
  const power = contrast === undefined ? {} : powerOf(contrast, units, minimumEffect, reference)
  if (refusal !== undefined || contrast === undefined || permuted === undefined)
    return { comparison: { ...head, ...power, ...present({ note: refusal }) } }
  if (!contrast.ends(1).every(Number.isFinite)) return { comparison: { ...head, ...power, note: NO_END } }
  const width = margin === undefined ? 0 : lengthOf(margin, reference)
  const tested = width === 0 ? undefined : equivalence(contrast, width)
  const { p, without0 } = pOfNone(contrast)
  return {
    comparison: {
      ...head,
      p: Math.max(p, permuted),
      ...(tested !== undefined && { equivalence: { margin: width, ...tested } }),
      ...power,
      ...present({ note: mark }),
    },
    contrast,
    without0,
  }
}

const contrastOf = (statistic: Statistic, a: SortedColumn, b: SortedColumn, paired: boolean): Contrast =>
  statistic === 'mean' ? meanContrast(a, b, paired) : quantileContrast(a, b, quantileShares[statistic], paired)

const figureOf = (column: SortedColumn, statistic: Statistic): number =>
  statistic === 'mean' ? column.mean : column.quantile(quantileShares[statistic])

const lengthOf = (effect: Effect, reference: number) =>
  'absolute' in effect ? effect.absolute : effect.share * Math.abs(reference)

function powerOf(contrast: Contrast, units: number, minimumEffect: Effect | undefined, reference: number) {
  const error = standardErrorOf(contrast)
  if (!Number.isFinite(error) || error === 0) return {}
  const detectable = detectableDifference(error)
  const effect = minimumEffect === undefined ? 0 : lengthOf(minimumEffect, reference)
  return { detectable, ...(effect > 0 && { unitsNeeded: unitsFor(effect, { units, detectable }) }) }
}
