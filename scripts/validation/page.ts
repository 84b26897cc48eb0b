import { isKept, type Row } from './study.ts'

const percent = (share: number) => `${(100 * share).toFixed(1)} %`
const effect = (factor: number) =>
  factor === 1 ? 'none' : `${factor > 1 ? '+' : '−'}${Math.round(100 * Math.abs(factor - 1))} %`

/** Tables in Markdown: what has bounds, then power. */
export function validationPage(
  rows: readonly Row[],
  { experiments, seed }: { experiments: number; seed: number },
): string {
  const bound = rows.filter(({ bounds }) => bounds !== undefined)
  const power = rows.filter(({ what }) => what === 'power')
  return [
    `${experiments} experiments for each line (arms of unequal shape and false equivalence half as many, power and looks a quarter; what was refused in some has fewer), seed ${seed}. \`✗\` marks a figure outside its bounds.`,
    '',
    '## Errors and coverage',
    '| what | design | units | effect | figure | share | bounds | |',
    '|---|---|---|---|---|---|---|---|',
    ...bound.map(
      (row) =>
        `| ${row.what} | ${row.design} | ${row.units} | ${effect(row.factor)} | ${row.figure} | ${percent(row.share)} | ${percent(row.bounds![0])} to ${percent(row.bounds![1])} | ${isKept(row) ? '✓' : '✗'} |`,
    ),
    '',
    '## Power for a 20 % effect',
    'The last column is what `detectable` says on average, in units of the true difference: where it is 1, power should be 80 %.',
    '',
    '| design | units | figure | found | detectable ÷ true |',
    '|---|---|---|---|---|',
    ...power.map(
      ({ design, units, figure, share, detectable }) =>
        `| ${design} | ${units} | ${figure} | ${percent(share)} | ${detectable === undefined ? '' : detectable.toFixed(2)} |`,
    ),
  ].join('\n')
}
