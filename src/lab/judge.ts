import type { Comparison } from './analysis.ts'
import type { Compared } from './comparison.ts'
import { intervalOf, leavesOut } from './statistics/contrast.ts'
import { holm } from './statistics/holm.ts'

export const LEVEL = 0.95
const ALPHA = 1 - LEVEL

/**
 * What each comparison of a family says, after Holm over those that were not refused. The interval is at the level that Holm leaves
 * its comparison, and cannot disagree with the finding: where one was made it leaves 0 out, where none was made it is widened to hold 0.
 */
export function judged(family: readonly Compared[]): Comparison[] {
  const p = family.map(({ comparison, contrast }) => (contrast === undefined ? undefined : comparison.p))
  const adjusted = holm(p, ALPHA)
  return family.map((compared, index): Comparison => {
    const { comparison, contrast } = compared
    const of = adjusted[index]
    if (of === undefined || contrast === undefined) return { ...comparison, level: LEVEL, finding: 'refused' }
    const interval = intervalOf(contrast, of.alpha / 2)
    const level = 1 - of.alpha
    if (interval === undefined) {
      const { p: _, equivalence: __, ...rest } = comparison
      return { ...rest, level, finding: 'refused', note: 'the interval has no end at this level: too few values' }
    }
    const isFound = of.p <= ALPHA
    return {
      ...comparison,
      interval: isFound ? without0(interval, compared) : with0(interval),
      level,
      pHolm: of.p,
      finding: findingOf(comparison, isFound),
    }
  })
}

const with0 = ([low, high]: readonly [number, number]) => [Math.min(0, low), Math.max(0, high)] as const

/** p is such that the interval leaves 0 out; at a step between two order statistics it may only nearly. */
const without0 = (interval: readonly [number, number], { without0: widest }: Compared) =>
  leavesOut(interval, 0) || widest === undefined ? interval : widest

function findingOf({ difference = 0, equivalence }: Compared['comparison'], isFound: boolean): Comparison['finding'] {
  if (equivalence?.equivalent) return 'equivalent'
  if (!isFound) return 'unclear'
  return difference < 0 ? 'lower' : 'higher'
}
