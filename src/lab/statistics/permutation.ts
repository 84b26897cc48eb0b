import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from './random.ts'
import { MEAN, type SortedColumn, SUMMARY_LENGTH, type Summary, type Weights } from './sorted-column.ts'

/** Equal but for the order of a sum. */
const SAME = 1 - 1e-9

/** The randomised units of two arms. */
export interface Labels {
  /** 1 for a unit of the arm, 0 for one of the baseline. */
  readonly arm: Weights
  /** Where each block of units begins, and the end of the last: labels change places within a block only. One block for none. */
  readonly blockStarts: readonly number[]
}

/** Arm − baseline of p50, p95, p99 and mean. NaN where one is not finite. */
export function differences(column: SortedColumn, { arm }: Labels): Summary {
  const [ofArm, ofBaseline] = [new Float64Array(SUMMARY_LENGTH), new Float64Array(SUMMARY_LENGTH)]
  column.summarise(arm, ofArm)
  column.summarise(
    arm.map((label) => 1 - label),
    ofBaseline,
  )
  return ofArm.map((value, index) => (value === Infinity ? Number.NaN : value - ofBaseline[index]!))
}

/**
 * Two-sided p values of the differences of p50, p95, p99 and mean between two arms, for each column: (1 + as extreme) ÷ (1 + draws)
 * with the labels of the units shuffled (Phipson and Smyth 2010). Exact where units are exchangeable under the null hypothesis,
 * however much the values within one hang together. A draw whose difference is not finite counts as extreme.
 */
export function permutationTest(
  columns: readonly SortedColumn[],
  labels: Labels,
  draws: number,
  random: RandomGenerator,
): Summary[] {
  const observed = columns.map((column) => differences(column, labels))
  const hits = columns.map(() => new Float64Array(SUMMARY_LENGTH))
  const arm = labels.arm.slice()
  const rest = new Uint16Array(arm.length)
  const [ofArm, ofRest] = [new Float64Array(SUMMARY_LENGTH), new Float64Array(SUMMARY_LENGTH)]
  for (let draw = 0; draw < draws; draw++) {
    shuffleWithin(arm, labels.blockStarts, random)
    for (let unit = 0; unit < arm.length; unit++) rest[unit] = 1 - arm[unit]!
    for (let which = 0; which < columns.length; which++) {
      columns[which]!.summariseBoth(arm, rest, ofArm, ofRest)
      for (let index = 0; index < SUMMARY_LENGTH; index++) {
        if (!isLess(ofArm, ofRest, observed[which]!, index)) hits[which]![index]! += 1
      }
    }
  }
  return hits.map((counts) => counts.map((count) => (1 + count) / (1 + draws)))
}

/**
 * Whether a draw is less extreme than what was observed. Where a quantile differs by just as much, the means decide: of values that are
 * often the same, nearly every draw has the observed difference of medians, however well the arms are told apart.
 */
function isLess(ofArm: Summary, ofRest: Summary, observed: Summary, index: number): boolean {
  const [drawn, seen] = [Math.abs(ofArm[index]! - ofRest[index]!), Math.abs(observed[index]!)]
  if (drawn < seen * SAME) return true
  if (!(drawn * SAME <= seen)) return false
  return Math.abs(ofArm[MEAN]! - ofRest[MEAN]!) < Math.abs(observed[MEAN]!) * SAME
}

/** Fisher and Yates within each block. */
function shuffleWithin(labels: Weights, blockStarts: readonly number[], random: RandomGenerator): void {
  for (let block = 0; block + 1 < blockStarts.length; block++) {
    const start = blockStarts[block]!
    for (let last = blockStarts[block + 1]! - 1; last > start; last--) {
      const other = uniformInt(random, start, last)
      const label = labels[last]!
      labels[last] = labels[other]!
      labels[other] = label
    }
  }
}
