import type { AnalysisPlan, MetricName } from '../../core/experiment.ts'
import { metrics } from '../../core/experiment.ts'
import { present } from '../../core/present.ts'
import { listed } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { Analysis, Comparison } from '../analysis.ts'
import { levelsOf } from '../words.ts'
import { figureOf, panels } from './charts/figure.ts'
import { type IntervalRow, intervalChart, intervalWords } from './charts/intervals.ts'
import { PANEL } from './charts/plot.ts'
import { difference, figure, intervalOf, per, relative, statisticWords } from './figures.ts'
import { findingWords, markOf } from './words.ts'

/** What someone has who reads for five seconds: figures of the two arms, where there are two. */
export function cards({ arms, comparisons }: Analysis, plan: AnalysisPlan): Markup | undefined {
  const shown = headlines(comparisons, plan).filter(({ view, arm }) => view === 'all' && arm !== plan.aaArm)
  if (new Set(shown.map(({ arm, baseline }) => JSON.stringify([arm, baseline]))).size !== 1) return undefined
  return html`<dl class="cards">${shown.map((comparison) => {
    const { metric, statistic, arm, baseline, interval } = comparison
    const { unit, title } = metrics[metric]
    const valueIn = (name: string) => {
      const value = arms.find((each) => each.name === name)?.metrics[metric]?.[statistic]
      return value === undefined ? 'not known' : figure(value, unit)
    }
    return html`<div class="card"><dt>${title}, ${statisticWords[statistic]}${statistic === 'mean' && ` of ${per(metric)}`}</dt>
<dd class="now">${valueIn(arm)}</dd><dd class="quiet">with ${arm}; ${valueIn(baseline)} with ${baseline}</dd>
<dd>${changeOf(comparison)}</dd>
${interval && html`<dd class="quiet">${percentOf(comparison)} interval <span class="whole">${intervalOf(interval, unit)}</span></dd>`}</div>
`
  })}</dl>`
}

/** In the colour of what was found, and in its words; a difference that is unclear has none. */
function changeOf(comparison: Comparison): Markup | string {
  const { difference: value, relative: share, metric, note } = comparison
  if (value === undefined) return note ?? 'no statement'
  const part = relative(share)
  const change = `${difference(value, metrics[metric].unit)}${part === undefined ? '' : ` (${part})`}`
  const mark = markOf(comparison)
  if (mark === 'good' || mark === 'bad')
    return html`<b class="${mark}">${change}: ${mark === 'good' ? 'better' : 'worse'}</b>`
  return `${change}: ${findingWords(comparison)}`
}

const percentOf = (comparison: Comparison) => levelsOf([comparison])

/** The first statistic of each metric. */
const headlines = (comparisons: readonly Comparison[], plan: AnalysisPlan): Comparison[] =>
  comparisons.filter((each) => each.statistic === firstOf(each.metric, plan))

const firstOf = (metric: MetricName, plan: AnalysisPlan) =>
  plan.metrics.find((each) => each.metric === metric)?.statistics[0]

/** The differences in the first statistic of each metric. */
export const effectFigure = (analysis: Analysis, plan: AnalysisPlan): Markup | undefined =>
  intervalsFigure('effect', 'with its', headlines(analysis.comparisons, plan), analysis, plan)

/** Those in all others. */
export function otherDifferences(analysis: Analysis, plan: AnalysisPlan): Markup | undefined {
  const others = analysis.comparisons.filter((each) => each.statistic !== firstOf(each.metric, plan))
  return intervalsFigure('other-differences', 'in the other statistics, with its', others, analysis, plan)
}

/** More rows than these are not told one by one. */
const MOST_WORDS = 4

/** A panel for each metric. */
function intervalsFigure(
  id: string,
  title: string,
  comparisons: readonly Comparison[],
  { design }: Analysis,
  plan: AnalysisPlan,
): Markup | undefined {
  const drawn = comparisons.filter(({ interval }) => interval !== undefined)
  const names = [...new Set(drawn.map(({ metric }) => metric))]
  if (drawn[0] === undefined) return undefined
  const exposed = comparisons.some(({ view }) => view === 'exposed')
  const of = (metric: MetricName) => comparisons.filter((each) => each.metric === metric)
  return figureOf({
    id,
    title: `Difference from ${drawn.every(({ baseline }) => baseline === design.baseline) ? design.baseline : 'another arm'}, ${title} ${levelsOf(drawn)} interval`,
    words: [
      ...names.map((metric) => html`<b>${metrics[metric].title}</b>: ${inWords(of(metric), plan, exposed)}`),
      'Filled marks are findings after Holm, so among all comparisons together; the table of comparisons has every figure.',
      comparisons.some(({ equivalence }) => equivalence) && 'The grey band holds differences that do not matter.',
    ],
    drawing: panels(
      names.map((metric) => ({
        heading: metrics[metric].title,
        drawing: intervalChart({
          width: PANEL,
          unit: metrics[metric].unit,
          rows: of(metric).map((each) => rowOf(each, plan, exposed)),
          sides: metrics[metric].better === 'lower' ? ['← better', 'worse →'] : ['← worse', 'better →'],
        }),
      })),
    ),
    key: html`<ul class="key"><li><span class="good">●</span> better</li><li><span class="bad">■</span> worse</li><li><span class="neutral">◆</span> equivalent</li><li>○ unclear</li></ul>`,
  })
}

function inWords(comparisons: readonly Comparison[], plan: AnalysisPlan, exposed: boolean): string {
  if (comparisons.length <= MOST_WORDS)
    return comparisons.map((each) => intervalWords(rowOf(each, plan, exposed), metrics[each.metric].unit)).join(' ')
  const marks = comparisons.map(markOf)
  const counts = Object.entries({ good: 'better', bad: 'worse', same: 'equivalent', open: 'unclear' }).flatMap(
    ([mark, words]) => {
      const count = marks.filter((each) => each === mark).length
      return count === 0 ? [] : [`${count} ${words}`]
    },
  )
  return `of ${comparisons.length} differences ${listed(counts)}.`
}

function rowOf(comparison: Comparison, { aaArm, baseline: common }: AnalysisPlan, exposed: boolean): IntervalRow {
  const { arm, baseline, statistic, view, difference: value, interval, equivalence, note } = comparison
  const against = baseline === common ? '' : ` against ${baseline}`
  const name = `${statisticWords[statistic]}, ${arm}${against}${arm === aaArm ? ' (A/A)' : ''}${exposed ? (view === 'all' ? ', all' : ', exposed') : ''}`
  return {
    name,
    value: comparison.finding === 'refused' ? undefined : value,
    interval,
    margin: equivalence?.margin,
    mark: markOf(comparison),
    ...present({ note }),
  }
}
