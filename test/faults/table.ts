import { isDeepStrictEqual } from 'node:util'
import type { FaultCase, FaultGroup, FaultOutcome } from './fault.ts'

export const head = ['fault', 'settlement', 'code', 'tried again', 'tokens kept'] as const

/** What the table says of one fault. */
export const row = (fault: string, { settlement, code, retried, tokens }: FaultOutcome): readonly string[] => [
  fault,
  `\`${settlement}\``,
  code === undefined ? '' : `\`${code}\``,
  retried ? 'yes' : 'no',
  tokens.toLocaleString('en-US'),
]

/** A Markdown table, its columns aligned. */
export function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = names.map((_, column) => Math.max(...[names, ...rows].map((cells) => cells[column]?.length ?? 0)))
  const text = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [text(names), text(widths.map((width) => '-'.repeat(width))), ...rows.map(text)].join('\n')
}

/** The table of one group, as docs/faults.md has it. Without times: they differ from machine to machine. */
export const groupTable = (
  group: FaultGroup,
  faults: readonly FaultCase[],
  outcomeOf = (fault: FaultCase): FaultOutcome => fault.expected,
): string =>
  table(
    head,
    faults.filter((fault) => fault.group === group).map((fault) => row(fault.fault, outcomeOf(fault))),
  )

/** Where a group's table stands in the page: between `<!-- faults: GROUP -->` and `<!-- end -->`. */
export const placeOf = (group: FaultGroup): RegExp =>
  new RegExp(`(<!-- faults: ${group} -->\n)(.*?)(\n<!-- end -->)`, 's')

export const asExpected = (outcome: FaultOutcome, { expected }: FaultCase): boolean =>
  isDeepStrictEqual(outcome, expected)
