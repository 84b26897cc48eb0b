import { type MetricName, metrics } from '../../core/experiment.ts'
import type { Analysis, Comparison } from '../../lab/analysis.ts'
import { carryOverWords, duplicateWords, levelsOf } from '../../lab/words.ts'
import { counted, milliseconds } from '../../pages/figures.ts'
import { paragraph, type Screen } from '../screen.ts'
import { tableLines } from './table.ts'

type Canvas = Pick<Screen, 'width' | 'paint'>
type Unit = (typeof metrics)[MetricName]['unit']

const MINUS = '−'
const MOST_RELATIVE = 10

/** What an analysis says, for a terminal: the verdict first. Lines, unended. */
export function analysisLines(analysis: Analysis, canvas: Canvas): string[] {
  const { width, paint } = canvas
  const { experiment, execution, design, reasons, verdict } = analysis
  const what = [
    execution === undefined ? experiment : `${experiment}, execution ${execution}`,
    ...(design.blocks === undefined ? [] : [counted(design.blocks, 'block')]),
    `seed ${design.seed}`,
  ].join(', ')
  return [
    ...paragraph(verdict, width).map((line) => paint('heading', line)),
    ...reasons.flatMap((reason) => paragraph(reason, width, '- ', '  ')),
    ...paragraph(what, width).map((line) => paint('quiet', line)),
    '',
    ...armLines(analysis, canvas),
    ...comparisonLines(analysis, canvas),
    '',
    ...checkLines(analysis, canvas),
  ]
}

/** Each arm: what users waited for, and what it cost. */
function armLines({ arms, front, design, comparisons }: Analysis, canvas: Canvas): string[] {
  const primary = comparisons[0]?.metric ?? 'interruptToFirstTokenMs'
  const { title, unit } = metrics[primary]
  const rows = arms.map(({ name, trials, interrupts, metrics: figures }) => {
    const point = front.find(({ arm }) => arm === name)
    const distribution = figures[primary]
    return [
      name === design.baseline ? `${name} (baseline)` : name,
      String(trials),
      String(interrupts),
      quantity(distribution?.p50, unit),
      quantity(distribution?.p95, unit),
      quantity(figures.wastedTokens?.mean ?? point?.wastedTokens, 'tokens'),
      quantity(figures.wastedSlotMs?.mean ?? point?.wastedSlotMs, 'ms'),
      quantity(figures.keptTokens?.mean ?? point?.keptTokens, 'tokens'),
      point?.onFront ? 'yes' : '',
    ]
  })
  const heads = ['arm', 'runs', 'interr.', 'p50', 'p95', 'wasted', 'slot', 'kept', 'front']
  return [
    ...paragraph(
      `${capitalised(title)} (p50, p95); means of wasted tokens and wasted slot time a run, of tokens kept an interrupt. Front: no other arm is better in one of latency and waste and as good in the rest.`,
      canvas.width,
    ).map((line) => canvas.paint('quiet', line)),
    ...tableLines(heads, rows, { ...canvas, right: [1, 2, 3, 4, 5, 6, 7], firstAtMost: 22 }),
  ]
}

/** Each arm against the baseline, one view after the other. */
function comparisonLines({ comparisons }: Analysis, canvas: Canvas): string[] {
  const groups = Map.groupBy(comparisons, ({ arm, baseline, view }) => {
    const exposed = view === 'exposed' ? ', only sessions whose interrupts the arms answer differently' : ''
    return `${arm} against ${baseline}${exposed}`
  })
  return [...groups].flatMap(([heading, group]) => {
    return [
      '',
      ...paragraph(`${heading}: difference, ${levelsOf(group)} interval, p after Holm`, canvas.width).map((line) =>
        canvas.paint('heading', line),
      ),
      ...tableLines([], group.map(comparisonRow), { ...canvas, right: [2, 3, 4, 5] }).map((line, index) =>
        canvas.paint(toneOf(group[index]), line),
      ),
      ...notes(group).flatMap((note) => paragraph(note, canvas.width, '  ')),
    ]
  })
}

function comparisonRow({ metric, statistic, difference, relative, interval, p, pHolm = p, finding }: Comparison) {
  const { title, unit } = metrics[metric]
  return [
    title,
    statistic,
    difference === undefined ? '' : signed(difference, unit),
    // Of nearly nothing everything is a great share.
    relative === undefined || Math.abs(relative) > MOST_RELATIVE ? '' : signed(relative, 'share'),
    interval === undefined ? '' : range(interval, unit),
    pHolm === undefined ? '' : pHolm < 0.001 ? '<0.001' : pHolm.toFixed(3),
    finding,
  ]
}

/** Each reason once, with what it is said of. */
function notes(group: readonly Comparison[]): string[] {
  const noted = group.filter(({ note }) => note !== undefined)
  return [...Map.groupBy(noted, ({ note }) => note)].map(
    ([note, of]) => `${of.map(({ metric, statistic }) => `${metrics[metric].title} ${statistic}`).join(', ')}: ${note}`,
  )
}

function toneOf(comparison: Comparison | undefined) {
  if (comparison === undefined) return 'quiet'
  const { finding, metric } = comparison
  if (finding === 'lower' || finding === 'higher') return finding === metrics[metric].better ? 'good' : 'bad'
  return finding === 'equivalent' ? 'good' : 'quiet'
}

function checkLines({ checks, arms }: Analysis, canvas: Canvas): string[] {
  const { sampleRatio, units, blocks, aa, carryOver, duplicates, lag } = checks
  const warmUps = arms.reduce((sum, arm) => sum + arm.warmUps, 0)
  const failed = arms.reduce((sum, { outcomes }) => sum + outcomes.failed, 0)
  const p = (value: number | undefined) => (value === undefined ? '' : `, p ${value.toFixed(3)}`)
  const rows: [boolean, string][] = [
    [sampleRatio.ok, `sessions by arm as planned${p(sampleRatio.p)}`],
    [units.ok, `${counted(units.have, 'unit')} in the smallest arm; a verdict needs ${units.needed}`],
    ...(blocks === undefined
      ? []
      : [
          [
            blocks.incomplete === 0,
            `${counted(blocks.complete, 'complete block')}, ${blocks.incomplete} incomplete`,
          ] as [boolean, string],
        ]),
    ...(aa === undefined
      ? []
      : [[aa.ok, `${aa.arm} does the same as the baseline, and must not differ${p(aa.p)}`] as [boolean, string]]),
    ...(carryOver === undefined ? [] : [[carryOver.ok, carryOverWords(carryOver)] as [boolean, string]]),
    ...(duplicates === undefined ? [] : [[duplicates.ok, duplicateWords(duplicates)] as [boolean, string]]),
    ...(lag === undefined
      ? []
      : [
          [lag.p99Ms < 10, `runs began late by ${milliseconds(lag.p50Ms)} (p50), ${milliseconds(lag.p99Ms)} (p99)`] as [
            boolean,
            string,
          ],
        ]),
    [failed === 0, `${counted(failed, 'run')} failed; ${counted(warmUps, 'warm-up')} thrown away`],
  ]
  return [
    canvas.paint('heading', 'Checks'),
    ...rows.flatMap(([ok, text]) => {
      const [first = '', ...rest] = paragraph(text, canvas.width, '      ')
      const mark = ok ? canvas.paint('good', '  ok  ') : canvas.paint('bad', '  no  ')
      return [mark + first.slice(6), ...rest]
    }),
  ]
}

/** A figure in its unit; `–` where there is none. */
function quantity(value: number | undefined, unit: Unit): string {
  if (value === undefined) return '–'
  const size = Math.abs(value)
  const text =
    unit === 'ms'
      ? milliseconds(size)
      : unit === 'share'
        ? `${(size * 100).toFixed(size < 0.0995 ? 1 : 0)} %`
        : size.toFixed(1)
  return value < 0 ? MINUS + text : text
}

const signed = (value: number, unit: Unit): string => (value > 0 ? '+' : '') + quantity(value, unit)

/** The unit once, where it is the same at both ends: `−112 to −63 ms`. */
function range([low, high]: readonly [number, number], unit: Unit): string {
  const [from, to] = [signed(low, unit), signed(high, unit)]
  const suffix = / \S+$/.exec(to)?.[0] ?? ''
  return `${suffix !== '' && from.endsWith(suffix) ? from.slice(0, -suffix.length) : from} to ${to}`
}

const capitalised = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)
