import * as Plot from '@observablehq/plot'
import type { Markup } from '../../../pages/html.ts'
import type { QuantileCurve } from '../../curves.ts'
import { figure, type Unit } from '../figures.ts'
import { type Axis, axisOfSpread, ticksFor, UPWARDS } from './axis.ts'
import { type Look, shortened } from './looks.ts'
import { drawn } from './plot.ts'

export interface ArmCurve extends QuantileCurve {
  readonly look: Look
}

/** More curves than these over each other are not told apart: each then gets a row of its own. */
export const MOST_CURVES = 4

/** Where a curve carries its symbol. */
const SYMBOLS_AT = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
const BOTTOM = 46

/** The share of all that is at or below a value, with bands of 95 %. A curve ends where what was never reached begins. */
export function distributionChart(curves: readonly ArmCurve[], unit: Unit, width: number): Markup {
  const axis = axisOfSpread(
    curves.flatMap(({ points }) => points.flatMap(({ value, low = value, high = value }) => [value, low, high])),
    unit,
  )
  const last = curves
    .filter(({ points, censoredShare }) => points.length > 0 && censoredShare > 0)
    .toSorted((a, b) => a.points.at(-1)!.q - b.points.at(-1)!.q)
    // Two labels need room between them; what is left out stands in the words.
    .filter((curve, index, all) => index === 0 || curve.points.at(-1)!.q - all[index - 1]!.points.at(-1)!.q > 0.12)
  return drawn({
    width,
    height: 300,
    marginTop: 28,
    marginBottom: BOTTOM,
    marginLeft: 54,
    marginRight: 14,
    x: { type: axis.type, domain: axis.domain, label: null },
    y: { domain: [0, 1], label: null },
    marks: [
      Plot.gridY([0, 0.25, 0.5, 0.75, 1], { stroke: 'var(--line)', strokeOpacity: 1 }),
      Plot.axisY([0, 0.25, 0.5, 0.75, 1], {
        tickFormat: (q: number) => `${Math.round(q * 100)} %`,
        tickSize: 0,
        fill: 'var(--quiet)',
        label: null,
      }),
      valueAxis(axis, width),
      ...curves.map(({ points, look }) =>
        Plot.areaX(
          points.filter(({ low, high }) => low !== undefined && high !== undefined),
          { y: 'q', x1: 'low', x2: 'high', fill: look.colour, fillOpacity: 0.18 },
        ),
      ),
      ...curves.flatMap(({ points, look }) => [
        Plot.line(points, {
          x: 'value',
          y: 'q',
          stroke: look.colour,
          strokeWidth: 2.5,
          strokeDasharray: look.dash,
        }),
        Plot.dot(
          SYMBOLS_AT.flatMap((at) => nearest(points, at) ?? []),
          { x: 'value', y: 'q', fill: look.colour, symbol: look.symbol, r: 5 },
        ),
      ]),
      ...[true, false].map((left) =>
        Plot.text(
          last.filter(({ points }) => points.at(-1)!.value < (axis.domain[0] + axis.domain[1]) / 2 === left),
          {
            x: ({ points }) => points.at(-1)?.value,
            y: ({ points }) => points.at(-1)?.q,
            text: ({ censoredShare }) => `${percent(censoredShare)} never reached`,
            textAnchor: left ? 'start' : 'end',
            dx: left ? 10 : 0,
            dy: left ? 4 : 16,
            fill: 'var(--text)',
          },
        ),
      ),
      Plot.text(['share of all at or below, 95 % bands'], {
        frameAnchor: 'top-left',
        dx: -54,
        dy: -22,
        fill: 'var(--quiet)',
      }),
    ],
  })
}

export const percent = (share: number): string => (share < 0.01 && share > 0 ? '<1 %' : `${Math.round(share * 100)} %`)

function nearest(points: ArmCurve['points'], q: number): ArmCurve['points'][number] | undefined {
  const point = points.find((each) => each.q >= q - 1e-9)
  return point !== undefined && point.q - q < 0.03 ? point : undefined
}

/** The axis of values at the bottom, with its unit in the middle below. */
export function valueAxis(axis: Axis, width: number, label = axis.unit): Plot.CompoundMark {
  return Plot.marks(
    Plot.axisX({
      ticks: axis.ticks(ticksFor(width - 60)),
      tickFormat: axis.tick(ticksFor(width - 60)),
      tickSize: 4,
      label: null,
      fill: 'var(--quiet)',
      stroke: 'var(--quiet)',
    }),
    Plot.text([label], { frameAnchor: 'bottom', dy: 40, text: (words) => words, fill: 'var(--quiet)' }),
  )
}

/** The axis of values that rise, at the left, with a line at each tick. */
export function heightAxis(axis: Axis, count = UPWARDS): Plot.CompoundMark {
  const ticks = axis.ticks(count)
  return Plot.marks(
    Plot.gridY({ ticks, stroke: 'var(--line)', strokeOpacity: 1 }),
    Plot.axisY({ ticks, tickFormat: axis.tick(count), tickSize: 0, label: null, fill: 'var(--quiet)' }),
  )
}

const ROW = 40

/** For many arms: a row each, with the middle half as a bar, 5 % to 95 % as a line, and the median. */
export function distributionRows(curves: readonly ArmCurve[], unit: Unit, width: number): Markup {
  const rows = curves.map((curve, index) => ({ ...curve, at: index * ROW, ...spreadOf(curve) }))
  const axis = axisOfSpread(
    rows.flatMap(({ low, high, median }) => [low, high, median].filter((value) => value !== undefined)),
    unit,
  )
  const bottom = curves.length * ROW + 4
  const y = ({ at }: { at: number }) => at + 26
  return drawn({
    width,
    height: bottom + BOTTOM,
    marginTop: 0,
    marginBottom: BOTTOM,
    marginLeft: 8,
    marginRight: 8,
    x: { type: axis.type, domain: axis.domain, label: null },
    y: { domain: [0, bottom], range: [0, bottom], axis: null },
    marks: [
      valueAxis(axis, width),
      Plot.ruleY([bottom], { stroke: 'var(--line)' }),
      Plot.link(rows.filter(has('low', 'high')), { x1: 'low', x2: 'high', y, stroke: 'var(--text)', strokeWidth: 1.5 }),
      Plot.rect(rows.filter(has('lower', 'upper')), {
        x1: 'lower',
        x2: 'upper',
        y1: ({ at }) => at + 20,
        y2: ({ at }) => at + 32,
        fill: 'var(--reading)',
        fillOpacity: 0.35,
      }),
      Plot.ruleX(rows.filter(has('median')), {
        x: 'median',
        y1: ({ at }) => at + 18,
        y2: ({ at }) => at + 34,
        stroke: 'var(--text)',
        strokeWidth: 3,
      }),
      Plot.text(rows, {
        x: axis.domain[0],
        y: ({ at }) => at + 10,
        text: ({ arm }) => shortened(arm, Math.floor((width - 150) / 7.2)),
        textAnchor: 'start',
        fill: 'var(--text)',
      }),
      Plot.text(rows, {
        x: axis.domain[1],
        y: ({ at }) => at + 10,
        text: ({ median, censoredShare }) =>
          `${median === undefined ? 'median never reached' : figure(median, unit)}${censoredShare > 0 && median !== undefined ? `, ${percent(censoredShare)} never` : ''}`,
        textAnchor: 'end',
        fill: 'var(--quiet)',
      }),
    ],
  })
}

const has =
  <T>(...names: (keyof T)[]) =>
  (row: T): boolean =>
    names.every((name) => row[name] !== undefined)

function spreadOf({ points }: ArmCurve) {
  const at = (q: number) => nearest(points, q)?.value
  return { low: at(0.05), lower: at(0.25), median: at(0.5), upper: at(0.75), high: at(0.95) ?? points.at(-1)?.value }
}
