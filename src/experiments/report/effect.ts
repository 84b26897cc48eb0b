import type { AnalysisPlan, MetricName } from '../../core/experiment.ts'
import { metrics } from '../../core/experiment.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { Analysis, Comparison } from '../analysis.ts'
import { figureOf, panels } from './charts/figure.ts'
import { type IntervalRow, intervalChart, intervalWords } from './charts/intervals.ts'
import { PANEL } from './charts/plot.ts'
import { difference, figure, intervalOf, per, relative, statisticWords } from './figures.ts'
import { markOf, whatIsCompared } from './words.ts'

/** What someone has who reads for five seconds: figures of the two arms, where there are two. */
export function cards({ arms, comparisons }: Analysis, plan: AnalysisPlan): Markup | undefined {
  const shown = headlines(comparisons, plan)
  const names = new Set(shown.map(({ arm }) => arm))
  if (names.size !== 1) return undefined
  return html`<dl class="cards">${shown.map((comparison) => {
    const { metric, statistic, arm, baseline, interval, relative: share } = comparison
    const { unit, title } = metrics[metric]
    const [now, before] = [arm, baseline].map(
      (name) => arms.find((each) => each.name === name)?.metrics[metric]?.[statistic],
    )
    const value = (of: number | undefined) => (of === undefined ? 'not known' : figure(of, unit))
    return html`<div class="card"><dt>${title}, ${statisticWords[statistic]} ${per(metric)}</dt>
<dd class="now">${value(now)}</dd><dd class="quiet">${arm}; ${baseline}: ${value(before)}</dd>
<dd>${changeOf(comparison)}${share !== undefined && ` (${relative(share)})`}</dd>
${interval && html`<dd class="quiet">${percentOf(comparison)} interval ${intervalOf(interval, unit)}</dd>`}</div>`
  })}</dl>`
}

const changeOf = ({ difference: value, metric, note }: Comparison) => {
  if (value === undefined) return note ?? 'no statement'
  const { unit, better } = metrics[metric]
  if (value === 0) return 'no difference'
  const words = value < 0 === (better === 'lower') ? 'better' : 'worse'
  return html`<span class="${words === 'better' ? 'good' : 'bad'}">${difference(value, unit)}</span>`
}

const percentOf = ({ level }: Comparison) => `${Number((level * 100).toPrecision(4))} %`

/** The first statistic of each metric, over all sessions; without the arm that is there to be no different. */
const headlines = (comparisons: readonly Comparison[], { metrics, aaArm }: AnalysisPlan): Comparison[] =>
  comparisons.filter(
    ({ metric, statistic, arm, view }) =>
      view === 'all' && arm !== aaArm && statistic === metrics.find((each) => each.metric === metric)?.statistics[0],
  )

/** Every difference with its interval, a panel for each metric. */
export function effectFigure({ comparisons, design }: Analysis, plan: AnalysisPlan): Markup | undefined {
  const names = [...new Set(comparisons.map(({ metric }) => metric))]
  if (names.length === 0) return undefined
  const exposed = comparisons.some(({ view }) => view === 'exposed')
  const rowsOf = (metric: MetricName) =>
    comparisons.filter((each) => each.metric === metric).map((each) => rowOf(each, plan, exposed))
  const level = comparisons[0] === undefined ? '' : percentOf(comparisons[0])
  return figureOf({
    id: 'effect',
    title: `Difference from ${design.baseline}, with its ${level} interval`,
    words: html`${names.map(
      (metric) =>
        html`<b>${metrics[metric].title}</b>: ${rowsOf(metric)
          .map((row) => intervalWords(row, metrics[metric].unit))
          .join(' ')} `,
    )}An interval that does not touch the line at 0 is a difference. ${comparisons.some((each) => each.equivalence) && 'The grey band holds differences that do not matter.'}`,
    drawing: panels(
      names.map((metric) => ({
        heading: `${metrics[metric].title} (${metrics[metric].unit})`,
        drawing: intervalChart({
          width: PANEL,
          unit: metrics[metric].unit,
          rows: rowsOf(metric),
          sides: metrics[metric].better === 'lower' ? ['← better', 'worse →'] : ['← worse', 'better →'],
        }),
      })),
    ),
    key: html`<ul class="key"><li><span class="good">●</span> better</li><li><span class="bad">■</span> worse</li><li><span class="neutral">◆</span> equivalent</li><li>○ unclear</li></ul>`,
  })
}

function rowOf(comparison: Comparison, { aaArm }: AnalysisPlan, exposed: boolean): IntervalRow {
  const { arm, statistic, view, difference: value, interval, equivalence, note } = comparison
  const name = `${statisticWords[statistic]}, ${arm}${arm === aaArm ? ' (A/A)' : ''}${exposed ? (view === 'all' ? ', all' : ', exposed') : ''}`
  return {
    name,
    value: comparison.finding === 'refused' ? undefined : value,
    interval,
    margin: equivalence?.margin,
    mark: markOf(comparison),
    ...(note !== undefined && { note }),
  }
}

/** For lists in words. */
export const named = (comparison: Comparison): string => `${whatIsCompared(comparison)}, ${comparison.arm}`
