import { milliseconds, share } from '../../pages/figures.ts'
import type { Markup } from '../../pages/html.ts'
import type { Analysis } from '../analysis.ts'
import { carryOverWords, duplicateWords } from '../words.ts'
import { pValue } from './figures.ts'
import { type Pair, pairsTable } from './tables.ts'

/** What must hold before figures are believed, and whether it does. */
export const checksTable = ({ checks, design }: Analysis): Markup => pairsTable('Checks', checksOf(checks, design))

function checksOf(checks: Analysis['checks'], design: Analysis['design']): Pair[] {
  const { sampleRatio, units, blocks, aa, carryOver, duplicates, lag } = checks
  const counts = Object.entries(sampleRatio.observed).map(
    ([arm, count]) => `${arm} ${count.toLocaleString('en-US')} of ${rounded(sampleRatio.expected[arm])} expected`,
  )
  return [
    {
      name: 'Sample ratio',
      ok: sampleRatio.ok,
      says: `${counts.join(', ')}${sampleRatio.p === undefined ? '' : `; p ${pValue(sampleRatio.p)}, the gate fails below 0.001`}`,
    },
    {
      name: 'Units',
      ok: units.ok,
      says: `the smallest arm has ${units.have.toLocaleString('en-US')} ${design.unit}s; a verdict needs ${units.needed.toLocaleString('en-US')}`,
    },
    ...(blocks === undefined
      ? []
      : [
          {
            name: 'Blocks',
            says: `${blocks.complete} complete, ${blocks.incomplete} left out because an arm is missing`,
          },
        ]),
    ...(aa === undefined
      ? []
      : [
          {
            name: 'A/A',
            ok: aa.ok,
            says: `${aa.arm} does the same as ${design.baseline} and must not differ${aa.p === undefined ? '' : `: p ${pValue(aa.p)}`}`,
          },
        ]),
    ...(carryOver === undefined ? [] : [{ name: 'Carry-over', ok: carryOver.ok, says: carryOverWords(carryOver) }]),
    ...(duplicates === undefined ? [] : [{ name: 'Made twice', ok: duplicates.ok, says: duplicateWords(duplicates) }]),
    ...(lag === undefined
      ? []
      : [
          {
            name: 'Late starts',
            says: `${share(lag.share, 1)} of the trials began later than the load wanted; median ${milliseconds(lag.p50Ms)}, p99 ${milliseconds(lag.p99Ms)}`,
          },
        ]),
  ]
}

const rounded = (expected: number | undefined) =>
  expected === undefined ? 'none' : (Math.round(expected * 10) / 10).toLocaleString('en-US')
