import { cpus, totalmem } from 'node:os'
import { quantile } from 'simple-statistics'

/** p50, p95 and p99 of a sample, in its own unit. */
export interface Spread {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export const spread = (sample: number[]): Spread => ({
  p50: quantile(sample, 0.5),
  p95: quantile(sample, 0.95),
  p99: quantile(sample, 0.99),
})

/** What the figures were made on, in words that name no host. */
export function machine(): string {
  const processors = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${processors.length} cores (${processors[0]?.model.trim() ?? 'unknown'}), ${memory} GiB, Node ${process.versions.node}`
}

export const fixed = (value: number, digits = 2): string => value.toFixed(digits)

/** Prints a Markdown table, its columns aligned. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  console.log([line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n'))
}

/** Prints what a limit asks and whether the figure keeps it. A benchmark that misses one ends with exit code 1. */
export function judge(what: string, figure: number, limit: number, unit: string): void {
  const kept = figure <= limit
  console.log(`${kept ? 'kept  ' : 'MISSED'}  ${what}: ${fixed(figure, 3)} ${unit}, limit ${limit} ${unit}`)
  if (!kept) process.exitCode = 1
}

/** A number from the command line, such as `pairs=120`. */
export function setting(name: string, byDefault: number): number {
  const given = process.argv.find((argument) => argument.startsWith(`${name}=`))
  return given === undefined ? byDefault : Number(given.slice(name.length + 1))
}
