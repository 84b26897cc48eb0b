import { type AnalysisPlan, type Effect, type MetricName, metrics } from '../../core/experiment.ts'
import { phaseNames } from '../../core/record.ts'
import { scrolling } from '../../pages/document.ts'
import { share } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { Analysis, Comparison } from '../analysis.ts'
import { levelsOf } from '../words.ts'
import { difference, figure, intervalOf, number, pValue, relative, type Unit } from './figures.ts'
import { findingWords, whatIsCompared } from './words.ts'

type Cell = string | number | Markup | undefined

/** A table of figures; the first column names the rows, and `words` are columns of text. A cell is empty where there is no figure. */
export function figuresTable(
  caption: string,
  heads: readonly string[],
  rows: readonly (readonly [name: Cell, ...cells: Cell[]])[],
  words: readonly number[] = [],
): Markup {
  const words_ = (column: number) => (column === 0 || words.includes(column)) && html` class="words"`
  return scrolling(
    caption,
    html`<table class="figures${heads.length > 8 && ' many'}">
<caption><span class="caption">${caption}</span></caption>
<thead><tr>${heads.map((head, column) => html`<th scope="col"${words_(column)}>${head}</th>`)}</tr></thead>
<tbody>${rows.map(
      ([name, ...cells]) => html`<tr><th scope="row">${name}</th>${cells.map(
        (cell, column) => html`<td${words_(column + 1)}>${cell}</td>`,
      )}</tr>
`,
    )}</tbody>
</table>`,
  )
}

export interface Pair {
  readonly name: string
  readonly says: string
  /** Whether a check passed. Absent: there is nothing to pass. */
  readonly ok?: boolean
}

export const pairsTable = (caption: string, pairs: readonly Pair[]): Markup => html`<table class="pairs checks">
<caption>${caption}</caption>
<tbody>${pairs.map(
  ({ name, ok, says }) =>
    html`<tr><th scope="row">${name}</th><td${ok !== undefined && html` class="${ok ? 'ok' : 'failed'}"`}>${ok !== undefined && (ok ? 'passed: ' : 'failed: ')}${says}</td></tr>
`,
)}</tbody>
</table>`

/** What was found, and what an experiment of this size can find. */
export function comparisonsTables({ comparisons, design }: Analysis): Markup | undefined {
  if (comparisons.length === 0) return undefined
  const exposed = comparisons.some(({ view }) => view === 'exposed')
  const nameOf = (each: Comparison) =>
    `${whatIsCompared(each)}${exposed ? ` (${each.view === 'all' ? 'all sessions' : 'exposed'})` : ''}`
  const unitOf = ({ metric }: Comparison) => metrics[metric].unit
  return html`${figuresTable(
    comparisons.some(({ baseline }) => baseline !== design.baseline)
      ? 'Each arm against another one'
      : `Every arm against ${design.baseline}`,
    ['metric', 'arm', 'difference', 'relative', 'interval', 'level', 'p', 'p (Holm)', 'finding'],
    comparisons.map((each) => [
      nameOf(each),
      each.baseline === design.baseline ? each.arm : `${each.arm} against ${each.baseline}`,
      each.difference === undefined ? undefined : difference(each.difference, unitOf(each)),
      relative(each.relative),
      each.interval && intervalOf(each.interval, unitOf(each)),
      each.interval && levelsOf([each]),
      each.p === undefined ? undefined : pValue(each.p),
      each.pHolm === undefined ? undefined : pValue(each.pHolm),
      html`${findingWords(each)}${each.note !== undefined && html`<br><span class="quiet">${each.note}</span>`}`,
    ]),
    [1, 8],
  )}
${figuresTable(
  'What this many units can tell',
  ['metric', 'arm', 'found with 80 % power', `${design.unit}s an arm that are needed`, 'within the margin'],
  comparisons
    .filter(saysOfSize)
    .map((each) => [
      nameOf(each),
      each.arm,
      each.detectable === undefined ? undefined : figure(each.detectable, unitOf(each)),
      neededCell(each, unitOf(each)),
      each.equivalence &&
        `±${figure(each.equivalence.margin, unitOf(each))}: ${each.equivalence.equivalent ? 'yes' : 'not shown'}, p ${pValue(each.equivalence.p)}`,
    ]),
  [1],
)}`
}

const saysOfSize = ({ detectable, unitsNeeded, equivalence }: Comparison): boolean =>
  [detectable, unitsNeeded, equivalence].some((figures) => figures !== undefined)

function neededCell({ unitsNeeded, minimumEffect }: Comparison, unit: Unit): string | undefined {
  if (unitsNeeded === undefined) return undefined
  const effect = minimumEffect === undefined ? '' : ` for ${effectWords(minimumEffect, unit)}`
  return `${unitsNeeded.toLocaleString('en-US')}${effect}`
}

const effectWords = (effect: Effect, unit: Unit): string =>
  'share' in effect ? `${Number((effect.share * 100).toPrecision(3))} %` : figure(effect.absolute, unit)

/** Every arm's distribution, a table for each metric that was observed; those of the plan first. */
export function distributionTables({ arms }: Analysis, plan: AnalysisPlan): Markup[] {
  const ordered = new Set([...plan.metrics.map(({ metric }) => metric), ...(Object.keys(metrics) as MetricName[])])
  const names = [...ordered].filter((metric) => arms.some((arm) => arm.metrics[metric]))
  return names.map((metric) => {
    const { title, unit, summary } = metrics[metric]
    const cell = (value: number | undefined) => (value === undefined ? undefined : figure(value, unit))
    return html`${figuresTable(
      `${title}: ${summary}`,
      ['arm', 'n', 'never reached', 'mean', 'p50', 'p95', 'p99'],
      arms.flatMap(({ name, metrics: ofArm }) => {
        const of = ofArm[metric]
        return of === undefined
          ? []
          : [[name, of.n, of.censored, cell(of.mean), cell(of.p50), cell(of.p95), cell(of.p99)] as const]
      }),
    )}
`
  })
}

/** What the drawing of phases holds, in figures. */
export function phasesTable({ arms }: Analysis): Markup | undefined {
  const names = phaseNames.filter((name) => arms.some(({ phases }) => phases.some((phase) => phase.name === name)))
  if (names.length === 0) return undefined
  return figuresTable(
    'Mean length of each phase over the interrupts that reached a first token, and its share',
    ['arm', ...names],
    arms.map(({ name, phases }) => [
      name,
      ...names.map((each) => {
        const phase = phases.find((one) => one.name === each)
        return phase && html`${figure(phase.meanMs, 'ms')}<br>${share(phase.share, 1)}`
      }),
    ]),
  )
}

/** How live traffic stands: intervals that hold whenever they are looked at. */
export function sequencesTable({ sequences = [] }: Analysis): Markup | undefined {
  if (sequences.length === 0) return undefined
  return figuresTable(
    'Live: the ratio of medians, arm ÷ baseline, with a confidence sequence',
    ['metric', 'arm', 'sessions', 'ratio', 'interval', 'finding'],
    sequences.map((each) => [
      metrics[each.metric].title,
      each.arm,
      each.sessions,
      each.ratio === undefined ? undefined : number(each.ratio),
      each.interval && `${number(each.interval[0])} to ${number(each.interval[1])}`,
      html`${findingWords(each)}${each.note !== undefined && html`<br><span class="quiet">${each.note}</span>`}`,
    ]),
    [1, 5],
  )
}

export const armsTable = ({ arms, design }: Analysis): Markup =>
  figuresTable(
    'What there is of each arm',
    [
      'arm',
      'policy',
      'sessions',
      'runs',
      'interrupts',
      'warm-ups',
      'runs ended',
      'interrupted calls',
      'interrupts ended',
    ],
    arms.map(({ name, policy, sessions, trials, interrupts, warmUps, outcomes, settlements, ends }) => [
      `${name}${name === design.baseline ? ' (baseline)' : ''}`,
      policy,
      sessions,
      trials,
      interrupts,
      warmUps,
      countsInWords(outcomes),
      countsInWords(settlements),
      countsInWords(ends),
    ]),
    [1, 6, 7, 8],
  )

const countsInWords = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count.toLocaleString('en-US')} ${what}`)
    .join(', ')
