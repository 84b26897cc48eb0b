import * as Plot from '@observablehq/plot'
import type { Markup } from '../../../pages/html.ts'
import type { InterruptCloud } from '../../curves.ts'
import { type Axis, axisOf } from './axis.ts'
import { heightAxis, valueAxis } from './distribution.ts'
import type { Look } from './looks.ts'
import { drawn } from './plot.ts'

export type Cloud = Pick<InterruptCloud, 'points' | 'slope'>

/** The same for all panels, so that they can be compared. */
export function cloudAxes(clouds: readonly Cloud[]): { x: Axis; y: Axis } {
  const points = clouds.flatMap((cloud) => cloud.points)
  return {
    x: axisOf(
      points.map(({ sinceCallMs }) => sinceCallMs),
      'ms',
      { zero: true },
    ),
    y: axisOf(
      points.map(({ toFirstTokenMs }) => toFirstTokenMs),
      'ms',
      { zero: true },
    ),
  }
}

/** A point for each interrupt; the fitted line; and, dashed, one that falls by 1 ms a ms as waiting for the old call does. */
export function cloudChart(
  { points, slope }: Cloud,
  { x, y }: { x: Axis; y: Axis },
  look: Look,
  width: number,
): Markup {
  const small = width < 250
  const within = ({ x: at, y: value }: { x: number; y: number }) =>
    at >= x.domain[0] && at <= x.domain[1] && value >= y.domain[0] && value <= y.domain[1]
  const fitted = slope && lineThrough(slope.value, slope.intercept, points, y)
  const middle = points.length > 0 && slope ? { at: meanOf(points.map(({ sinceCallMs }) => sinceCallMs)) } : undefined
  const reference = slope && middle && lineThrough(-1, slope.value * middle.at + slope.intercept + middle.at, points, y)
  return drawn({
    width,
    height: small ? 170 : 250,
    marginTop: 24,
    marginRight: 10,
    marginBottom: 46,
    marginLeft: 44,
    x: { domain: x.domain, label: null },
    y: { domain: y.domain, label: null },
    marks: [
      heightAxis(y),
      valueAxis(x, width, small ? `interrupt at, ${x.unit}` : `interrupt, ${x.unit} since the start of the call`),
      Plot.dot(
        points.map(({ sinceCallMs, toFirstTokenMs }) => ({ x: sinceCallMs, y: toFirstTokenMs })).filter(within),
        {
          x: 'x',
          y: 'y',
          r: points.length > 300 ? 1.7 : 2.5,
          symbol: points.length > 300 ? 'circle' : look.symbol,
          fill: look.colour,
          fillOpacity: 0.55,
        },
      ),
      Plot.line(reference ?? [], { x: 'x', y: 'y', stroke: 'var(--text)', strokeWidth: 1.5, strokeDasharray: '2 4' }),
      Plot.line(fitted ?? [], { x: 'x', y: 'y', stroke: 'var(--text)', strokeWidth: 2.5 }),
      Plot.text([`first token after, ${y.unit}`], {
        frameAnchor: 'top-left',
        dx: -44,
        dy: -20,
        text: (words) => words,
        fill: 'var(--quiet)',
      }),
    ],
  })
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

/** From the first to the last of the points, cut where it leaves the axis of values. */
function lineThrough(slope: number, intercept: number, points: Cloud['points'], y: Axis) {
  const times = points.map(({ sinceCallMs }) => sinceCallMs)
  const bounds = slope === 0 ? [] : y.domain.map((value) => (value - intercept) / slope).toSorted((a, b) => a - b)
  const from = Math.max(min(times), bounds[0] ?? min(times))
  const to = Math.min(max(times), bounds[1] ?? max(times))
  return from < to ? [from, to].map((at) => ({ x: at, y: intercept + slope * at })) : []
}

const min = (values: readonly number[]) =>
  values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY)
const max = (values: readonly number[]) =>
  values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
