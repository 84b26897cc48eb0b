import { type AnalysisPlan, type MetricName, metrics } from '../../core/experiment.ts'
import { milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { Analysis, FrontPoint } from '../analysis.ts'
import type { Curves, InterruptCloud } from '../curves.ts'
import { cloudAxes, cloudChart } from './charts/cloud.ts'
import { type ArmCurve, distributionChart, distributionRows, MOST_CURVES, percent } from './charts/distribution.ts'
import { type ArmDrift, driftAxis, driftChart } from './charts/drift.ts'
import { armKey, figureOf, inTwoWidths, panels } from './charts/figure.ts'
import { frontChart } from './charts/front.ts'
import { type Look, lookOf, phasePatterns } from './charts/looks.ts'
import { phaseKey, phasesChart, phasesInWords } from './charts/phases.ts'
import { PANEL, SMALL_PANEL } from './charts/plot.ts'
import { figure, number } from './figures.ts'

/** The look of each arm, by its place in the analysis. */
export const looksOf = ({ arms }: Analysis): ReadonlyMap<string, Look> =>
  new Map(arms.map(({ name }, index) => [name, lookOf(index)]))

type Looks = ReturnType<typeof looksOf>

const lookFor = (looks: Looks, arm: string): Look => looks.get(arm) ?? lookOf(looks.size)

const keyOf = (looks: Looks, arms: readonly string[]): Markup =>
  armKey(arms.map((name) => ({ name, look: lookFor(looks, name) })))

/** Latency against both kinds of waste. */
export function frontFigure({ front }: Analysis, looks: Looks): Markup | undefined {
  const placed = front.filter(({ latencyMs }) => latencyMs !== undefined)
  if (placed.length < 2) return undefined
  const numbered = placed.length > 6
  const arms = placed.map((point, index) => ({
    ...point,
    look: lookFor(looks, point.arm),
    label: numbered ? String(index + 1) : point.arm,
  }))
  const best = placed.filter(({ onFront }) => onFront)
  return figureOf({
    id: 'front',
    title: 'Latency and waste together',
    words: html`${best.length} of ${placed.length} arms ${best.length === 1 ? 'is' : 'are'} on the front (filled): no other is at least as good in latency, wasted tokens and wasted slot time, and better in one. ${placed.map((point) => html`${pointInWords(point)} `)}The dashed line joins the best of each drawing alone. Down and to the left is better.`,
    drawing: panels([
      { heading: 'Wasted tokens a run', drawing: frontChart(arms, 'wastedTokens', 'tokens', PANEL) },
      { heading: 'Wasted slot time a run', drawing: frontChart(arms, 'wastedSlotMs', 'ms', PANEL) },
    ]),
    ...(numbered && { key: html`<ol class="numbers">${placed.map(({ arm }) => html`<li>${arm}</li>`)}</ol>` }),
  })
}

const pointInWords = ({ arm, latencyMs, wastedTokens, wastedSlotMs }: FrontPoint) =>
  `${arm}: ${milliseconds(latencyMs!)}, ${figure(wastedTokens, 'tokens')} and ${milliseconds(wastedSlotMs)} wasted.`

/** The primary metric's distribution, and in panels those of the others. */
export function distributionFigures({ quantiles }: Curves, plan: AnalysisPlan, looks: Looks): Markup[] {
  const curvesOf = (metric: MetricName): ArmCurve[] =>
    quantiles.filter((curve) => curve.metric === metric).map((curve) => ({ ...curve, look: lookFor(looks, curve.arm) }))
  return plan.metrics.flatMap(({ metric }) => {
    const curves = curvesOf(metric)
    if (curves.every(({ points }) => points.length === 0)) return []
    const { title, unit } = metrics[metric]
    const overlaid = curves.length <= MOST_CURVES
    const draw = overlaid ? distributionChart : distributionRows
    return figureOf({
      id: `distribution-${metric}`,
      title: `Distribution of ${title}`,
      words: `${curves.map((curve) => curveInWords(curve)).join(' ')}${overlaid ? '' : ' Each row: the median, the middle half as a bar, 5 % to 95 % as a line.'}`,
      drawing: inTwoWidths((width) => draw(curves, unit, width)),
      ...(overlaid && {
        key: keyOf(
          looks,
          curves.map(({ arm }) => arm),
        ),
      }),
    })
  })
}

function curveInWords({ arm, metric, points, censoredShare }: ArmCurve): string {
  const { unit } = metrics[metric]
  const at = (q: number) => points.find((point) => Math.abs(point.q - q) < 0.011)?.value
  const [half, most] = [at(0.5), at(0.95)]
  return `${arm}: ${half === undefined ? 'half of them is not known' : `half within ${figure(half, unit)}`}${most === undefined ? '' : `, 95 % within ${figure(most, unit)}`}${censoredShare > 0 ? `, ${percent(censoredShare)} never reached` : ''}.`
}

export function phasesFigure({ arms }: Analysis): Markup | undefined {
  const rows = arms
    .map(({ name, phases }) => ({ name, phases: phases.map((phase) => ({ name: phase.name, ms: phase.meanMs })) }))
    .filter(({ phases }) => phases.length > 0)
  if (rows.length === 0) return undefined
  const names = new Set(rows.flatMap(({ phases }) => phases.map(({ name }) => name)))
  return html`${phasePatterns(names)}${figureOf({
    id: 'phases',
    title: 'Where the time from the interrupt to the first token goes',
    words: `Means over the interrupts that reached a first token. ${rows.map(phasesInWords).join(' ')}`,
    drawing: inTwoWidths((width) => phasesChart(rows, width)),
    key: phaseKey(names),
  })}`
}

export function cloudFigure({ clouds }: Curves, looks: Looks): Markup | undefined {
  const drawn = clouds.filter(({ points }) => points.length > 0)
  if (drawn.length === 0) return undefined
  const axes = cloudAxes(drawn)
  return figureOf({
    id: 'clouds',
    title: 'When the interrupt came, and how long the next first token took',
    words: html`${drawn.map((cloud) => html`${cloudInWords(cloud)} `)}Dotted: a fall of 1 ms a ms, which is what waiting for the rest of the old call looks like. A cost that is there at every moment is flat.`,
    drawing: panels(
      drawn.map((cloud) => ({
        heading: cloud.arm,
        drawing: cloudChart(cloud, axes, lookFor(looks, cloud.arm), drawn.length > MOST_CURVES ? SMALL_PANEL : PANEL),
      })),
    ),
  })
}

function cloudInWords({ arm, points, of, slope }: InterruptCloud): string {
  const shown =
    points.length < of ? ` (${points.length.toLocaleString('en-US')} of ${of.toLocaleString('en-US')} drawn)` : ''
  if (slope === undefined) return `${arm}${shown}: no slope, too few different moments.`
  const interval = slope.interval && ` (${number(slope.interval[0])} to ${number(slope.interval[1])})`
  return `${arm}${shown}: slope ${number(slope.value)}${interval ?? ''} ms a ms while the call ran.`
}

export function driftFigure({ drift }: Curves, plan: AnalysisPlan, looks: Looks): Markup | undefined {
  const primary = plan.metrics[0]?.metric
  const drawn: ArmDrift[] = drift
    .filter(({ points }) => points.length > 0)
    .map((each) => ({ ...each, look: lookFor(looks, each.arm) }))
  if (primary === undefined || drawn.length === 0) return undefined
  const { unit, title } = metrics[primary]
  const axis = driftAxis(drawn, unit)
  const together = drawn.length <= MOST_CURVES
  return figureOf({
    id: 'drift',
    title: `${title}, ${drawn[0]!.by === 'block' ? 'block by block' : 'over time'}`,
    words: `${drawn
      .map(({ arm, points }) =>
        driftInWords(
          arm,
          points.map(({ median }) => median),
          unit,
        ),
      )
      .join(' ')} Arms that rise and fall together had the same conditions.`,
    drawing: together
      ? inTwoWidths((width) => driftChart(drawn, axis, width))
      : panels(drawn.map((each) => ({ heading: each.arm, drawing: driftChart([each], axis, SMALL_PANEL) }))),
    ...(together && {
      key: keyOf(
        looks,
        drawn.map(({ arm }) => arm),
      ),
    }),
  })
}

const driftInWords = (arm: string, medians: readonly number[], unit: (typeof metrics)[MetricName]['unit']) =>
  medians.length === 1
    ? `${arm}: ${figure(medians[0]!, unit)}.`
    : `${arm}: medians from ${figure(Math.min(...medians), unit)} to ${figure(Math.max(...medians), unit)}.`
