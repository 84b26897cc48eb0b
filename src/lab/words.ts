import { metrics } from '../core/experiment.ts'
import { counted } from '../pages/figures.ts'
import type { CarryOver, Checks, Comparison } from './analysis.ts'

const percent = (level: number) => Number((100 * level).toPrecision(3))

/** The levels of some intervals: `95 %`, or `98.3 to 95 %` where Holm leaves them different ones. */
export function levelsOf(comparisons: readonly Pick<Comparison, 'level' | 'interval'>[]): string {
  const shown = comparisons.filter(({ interval }) => interval !== undefined)
  const levels = (shown.length > 0 ? shown : comparisons).map(({ level }) => percent(level))
  const [low, high] = [Math.min(...levels), Math.max(...levels)]
  return low === high ? `${low} %` : `${low} to ${high} %`
}

/** What is known of carry-over, as a check. */
export function carryOverWords({ metric, statistic, after, difference, interval: [low, high] }: CarryOver): string {
  const ms = (value: number) => String(Number(value.toPrecision(3))).replace('-', '−')
  return `runs after ${after}, less runs after other arms: ${ms(difference)} ms in ${metrics[metric].title} (${statistic}; 95 % interval ${ms(low)} to ${ms(high)} ms)`
}

/** What is known of trials that were made twice, as a check. */
export const duplicateWords = ({ leftOut }: NonNullable<Checks['duplicates']>): string =>
  `${counted(leftOut, 'run')} left out: two processes made the same trials at once, and of each trial the run that started first counts`
