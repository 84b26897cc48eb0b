import { type MetricName, metrics } from '../../core/metric.ts'
import type { Analysis, Comparison, Distribution, Sequence } from '../../lab/analysis.ts'
import type { Participation } from '../../lab/participation.ts'
import { counted, milliseconds, share } from '../../pages/figures.ts'
import { asTyped } from '../as-typed.ts'

/** What `ab status --json` prints. */
export interface LiveStatus {
  readonly experiment: string
  readonly pipeline: string
  /** As the newest run that wrote it down had it. */
  readonly coverage: number
  readonly changedAt?: string
  readonly firstRunAt?: string
  readonly lastRunAt?: string
  readonly mixedSessions: number
  /** What the arms are compared by. */
  readonly metrics: readonly MetricName[]
  readonly arms: readonly (Participation['arms'][number] & { readonly policy?: string; readonly weight?: number })[]
  readonly analysis: Analysis
}

/** The status for people. Lines, unended. */
export function statusLines(status: LiveStatus): string[] {
  const { analysis } = status
  return [
    ...head(status),
    '',
    ...table(
      ['arm', 'policy', 'sessions', 'exposed', 'runs'],
      status.arms.map(({ name, policy = '(no arm any more)', sessions, exposed, runs }) => [
        name,
        policy,
        String(sessions),
        String(exposed),
        String(runs),
      ]),
    ),
    '',
    ratio(analysis),
    ...section(
      'At any time (95 % confidence sequences, every look counted):',
      (analysis.sequences ?? []).map(sequence),
    ),
    ...figures(status),
    ...section('All sessions as assigned (only valid at the planned end):', views(analysis, 'all')),
    ...section('Exposed sessions only (only valid at the planned end):', views(analysis, 'exposed')),
    ...section('The verdict, if this is the planned end:', [analysis.verdict, ...analysis.reasons]),
    ...section('', hints(status)),
  ]
}

function head({ experiment, pipeline, firstRunAt, lastRunAt }: LiveStatus): string[] {
  const when = firstRunAt === undefined ? 'no run yet' : `runs from ${minute(firstRunAt)} to ${minute(lastRunAt!)} UTC`
  return [`${experiment}, on live traffic of ${pipeline}: ${when}`]
}

const minute = (iso: string): string => iso.slice(0, 16).replace('T', ' ')

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['', ...(title === '' ? [] : [title]), ...lines.map((line) => `  ${line}`)]

function ratio({ checks: { sampleRatio }, arms }: Analysis): string {
  const { p, ok } = sampleRatio
  const counts = arms.map(({ name, sessions }) => `${name} ${sessions}`).join(', ')
  if (p === undefined) return `Sample ratio: ${counts}; nothing to check yet.`
  const verdict = ok ? 'as the weights say' : 'NOT as the weights say: believe nothing below until it is known why'
  return `Sample ratio: ${counts}, ${verdict} (p ${probability(p)}).`
}

const probability = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3))

/** `abort takes 0.62 to 0.81 times as long as drain: lower`. */
export function sequence({ metric, arm, baseline, interval, ratio, sessions, finding, note }: Sequence): string {
  const { title, unit } = metrics[metric]
  const of = counted(sessions, 'session')
  if (interval === undefined || ratio === undefined)
    return `${title}: ${arm} against ${baseline}: ${note ?? 'no statement yet'} (${of})`
  const [low, high] = interval.map((value) => value.toFixed(2))
  const times = `${low} to ${high} times as ${unit === 'ms' ? 'long' : 'much'} as ${baseline}`
  const found = finding === 'lower' || finding === 'higher' ? finding : 'it may still be either'
  return `${title}: ${arm} ${unit === 'ms' ? 'takes' : 'has'} ${times}: ${found} (${of})`
}

function figures({ metrics: asked, analysis: { arms } }: LiveStatus): string[] {
  const rows = asked.flatMap((metric) =>
    arms.flatMap(({ name, metrics: { [metric]: found } }) =>
      found === undefined ? [] : [[metrics[metric].title, name, ...cells(metric, found)]],
    ),
  )
  if (rows.length === 0) return []
  return ['', 'Now:', ...table(['metric', 'arm', 'n', 'mean', 'p50', 'p95', 'never'], rows).map((line) => `  ${line}`)]
}

const cells = (metric: MetricName, { n, mean, p50, p95, censored }: Distribution): string[] => [
  String(n),
  ...[mean, p50, p95].map((value) => (value === undefined ? '' : figure(metric, value))),
  censored === 0 ? '' : String(censored),
]

function figure(metric: MetricName, value: number): string {
  const { unit } = metrics[metric]
  if (unit === 'ms') return milliseconds(value)
  return unit === 'share' ? share(value, 1) : String(Math.round(value * 10) / 10)
}

const views = ({ comparisons }: Analysis, view: Comparison['view']): string[] =>
  comparisons.filter((each) => each.view === view).map(comparison)

function comparison({ metric, statistic, arm, baseline, difference, interval, pHolm, finding, note }: Comparison) {
  const what = `${metrics[metric].title}, ${statistic}: ${arm} − ${baseline}`
  if (difference === undefined) return `${what}: ${note ?? finding}`
  const signed = (value: number) => `${value < 0 ? '−' : '+'}${figure(metric, Math.abs(value))}`
  const range = interval === undefined ? '' : ` (${signed(interval[0])} to ${signed(interval[1])})`
  const p = pHolm === undefined ? '' : `, p ${probability(pHolm)} after Holm`
  return `${what} = ${signed(difference)}${range}${p}: ${finding}${note === undefined ? '' : ` (${note})`}`
}

function hints({ coverage, changedAt, mixedSessions, experiment }: LiveStatus): string[] {
  return [
    ...(changedAt === undefined
      ? []
      : [`Arms, weights or seed were changed at ${minute(changedAt)} UTC: start anew under another name.`]),
    ...(mixedSessions === 0 ? [] : [`${counted(mixedSessions, 'session')} had runs of more than one arm.`]),
    coverage < 1
      ? `${share(coverage, 1)} of the sessions take part: raise \`coverage\` to let more in; nobody who is in changes arms.`
      : 'All sessions take part.',
    `To stop: \`enabled: false\` in the pipeline, CAESURA_EXPERIMENTS=off, or on a fleet \`${asTyped('caesura ab stop')} ${experiment} --redis\`.`,
  ]
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const isNumber = (column: number) => rows.every((row) => /^[\d<]|^$/.test(row[column] ?? ''))
  return [heads, ...rows].map((row) =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}
