import { type AnalysisPlan, metrics } from '../../core/experiment.ts'
import { phaseNames } from '../../core/record.ts'
import { milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'
import type { Analysis, FrontPoint } from '../analysis.ts'
import type { Curves, InterruptCloud } from '../curves.ts'
import { cloudAxes, cloudChart } from './charts/cloud.ts'
import { type ArmCurve, distributionChart, distributionRows, MOST_CURVES, percent } from './charts/distribution.ts'
import { type ArmDrift, driftAxes, driftChart } from './charts/drift.ts'
import { armKey, figureOf, inTwoWidths, panels } from './charts/figure.ts'
import { frontChart } from './charts/front.ts'
import { type Look, lookOf, phasePatterns } from './charts/looks.ts'
import { phaseKey, phasesChart, phasesInWords } from './charts/phases.ts'
import { PANEL, SMALL_PANEL } from './charts/plot.ts'
import { figure, places, type Unit } from './figures.ts'

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
    words: [
      `${best.length} of ${placed.length} arms ${best.length === 1 ? 'is' : 'are'} on the front (filled): no other is at least as good in latency, wasted tokens and wasted slot time, and better in one.`,
      ...placed.map((point, index) => `${numbered ? `${index + 1} ` : ''}${pointInWords(point)}`),
      'The dashed line joins the best of each drawing alone. Down and to the left is better.',
    ],
    drawing: panels([
      { heading: 'Wasted tokens a run', drawing: frontChart(arms, 'wastedTokens', 'tokens', PANEL) },
      { heading: 'Wasted slot time a run', drawing: frontChart(arms, 'wastedSlotMs', 'ms', PANEL) },
    ]),
  })
}

const pointInWords = ({ arm, latencyMs, wastedTokens, wastedSlotMs }: FrontPoint) =>
  `${arm}: ${milliseconds(latencyMs!)}, ${figure(wastedTokens, 'tokens')} and ${milliseconds(wastedSlotMs)} wasted.`

/** The primary metric's distribution, and in panels those of the others. */
export function distributionFigures({ quantiles }: Curves, plan: AnalysisPlan, looks: Looks): Markup | undefined {
  const [primary, ...others] = plan.metrics.flatMap(({ metric }) => {
    const curves = quantiles
      .filter((curve) => curve.metric === metric && curve.points.length > 0)
      .map((curve) => ({ ...curve, look: lookFor(looks, curve.arm) }))
    return curves.length === 0 ? [] : [{ ...metrics[metric], curves }]
  })
  if (primary === undefined) return undefined
  const overlaid = [primary, ...others].every(({ curves }) => curves.length <= MOST_CURVES)
  const draw = overlaid ? distributionChart : distributionRows
  const key = overlaid && { key: keyOf(looks, [...looks.keys()]) }
  const rows = !overlaid && 'Each row: the median, the middle half as a bar, 5 % to 95 % as a line.'
  return html`${figureOf({
    id: 'distribution',
    title: `Distribution of ${primary.title}`,
    words: [...primary.curves.map(curveInWords), rows],
    drawing: inTwoWidths((width) => draw(primary.curves, primary.unit, width)),
    ...key,
  })}
${
  others.length > 0 &&
  figureOf({
    id: 'other-distributions',
    title: 'Distributions of the other metrics',
    words: [...others.map(({ title, curves }) => html`<b>${title}</b>: ${curves.map(curveInWords).join(' ')}`), rows],
    drawing: panels(others.map(({ title, unit, curves }) => ({ heading: title, drawing: draw(curves, unit, PANEL) }))),
    ...key,
  })
}`
}

function curveInWords({ arm, metric, points, censoredShare }: ArmCurve): string {
  const { unit } = metrics[metric]
  const at = (q: number) => points.find((point) => Math.abs(point.q - q) < 0.001)?.value
  const [half, most] = [at(0.5), at(0.95)]
  const parts = [
    half !== undefined && `half at or below ${figure(half, unit)}`,
    most !== undefined && `95 % at or below ${figure(most, unit)}`,
    censoredShare > 0 && `${percent(censoredShare)} never reached`,
  ].filter((part) => part !== false)
  return `${arm}: ${parts.join(', ') || 'drawn from few values'}.`
}

export function phasesFigure({ arms }: Analysis): Markup | undefined {
  const rows = arms
    .map(({ name, phases }) => ({ name, phases: phases.map((phase) => ({ name: phase.name, value: phase.meanMs })) }))
    .filter(({ phases }) => phases.length > 0)
  if (rows.length === 0) return undefined
  const names = phaseNames.filter((name) => rows.some(({ phases }) => phases.some((phase) => phase.name === name)))
  return html`${phasePatterns(names)}${figureOf({
    id: 'phases',
    title: 'Where the time from the interrupt to the first token goes',
    words: ['Means over the interrupts that reached a first token.', ...rows.map((row) => phasesInWords(row, 'ms'))],
    drawing: inTwoWidths((width) => phasesChart({ rows, unit: 'ms', label: 'from the interrupt' }, width)),
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
    words: [
      ...drawn.map(cloudInWords),
      'Dotted: a fall of 1 ms a ms, which is what waiting for the rest of the old call looks like. A cost that is there at every moment is flat.',
    ],
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
  const interval = slope.interval && ` (${places(slope.interval[0])} to ${places(slope.interval[1])})`
  return `${arm}${shown}: slope ${places(slope.value)}${interval ?? ''} ms a ms while the call ran.`
}

export function driftFigure({ drift }: Curves, plan: AnalysisPlan, looks: Looks): Markup | undefined {
  const primary = plan.metrics[0]?.metric
  const drawn: ArmDrift[] = drift
    .filter(({ points }) => points.length > 0)
    .map((each) => ({ ...each, look: lookFor(looks, each.arm) }))
  if (primary === undefined || drawn.length === 0) return undefined
  const { unit, title } = metrics[primary]
  const axes = driftAxes(drawn, unit)
  const together = drawn.length <= MOST_CURVES
  return figureOf({
    id: 'drift',
    title: `${title}, ${drawn[0]!.by === 'block' ? 'block by block' : 'over time'}`,
    words: [
      ...drawn.map((each) => driftInWords(each, unit)),
      'Arms that rise and fall together had the same conditions.',
    ],
    drawing: together
      ? inTwoWidths((width) => driftChart(drawn, axes, width))
      : panels(drawn.map((each) => ({ heading: each.arm, drawing: driftChart([each], axes, SMALL_PANEL) }))),
    ...(together && {
      key: keyOf(
        looks,
        drawn.map(({ arm }) => arm),
      ),
    }),
  })
}

function driftInWords({ arm, points }: ArmDrift, unit: Unit): string {
  const medians = points.map(({ median }) => median)
  if (medians.length === 1) return `${arm}: ${figure(medians[0]!, unit)}.`
  return `${arm}: medians from ${figure(Math.min(...medians), unit)} to ${figure(Math.max(...medians), unit)}.`
}
