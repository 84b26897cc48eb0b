import * as Plot from '@observablehq/plot'
import { min } from 'd3-array'
import type { Markup } from '../../../pages/html.ts'
import type { Drift } from '../../curves.ts'
import type { Unit } from '../figures.ts'
import { type Axis, axisOf, UPWARDS } from './axis.ts'
import { heightAxis, valueAxis } from './distribution.ts'
import type { Look } from './looks.ts'
import { drawn } from './plot.ts'

export interface ArmDrift extends Drift {
  readonly look: Look
}

export interface DriftAxes {
  readonly x: Axis
  readonly y: Axis
  /** Where the axis of time begins, Unix ms; 0 for blocks. */
  readonly from: number
}

/** The same for all drawings. Blocks have their number; stretches of time lie so long after the first one. */
export function driftAxes(drifts: readonly Drift[], unit: Unit): DriftAxes {
  const points = drifts.flatMap((drift) => drift.points)
  const y = axisOf(
    points.map(({ median }) => median),
    unit,
    { zero: true, room: 0.1 },
  )
  const ats = points.map(({ at }) => at)
  if (drifts[0]?.by === 'time') {
    const from = min(ats) ?? 0
    const x = axisOf(
      ats.map((at) => at - from),
      'ms',
      { zero: true, room: 0 },
    )
    return { x: { ...x, unit: `${x.unit} since the first run` }, y, from }
  }
  const x = axisOf(ats, 'tokens', { room: 0 })
  const ticks = (count: number) => x.ticks(count).filter(Number.isInteger)
  return { x: { ...x, unit: 'block', ticks, tick: () => String }, y, from: 0 }
}

/** The medians in order. Arms that rise and fall together had the same conditions; one that wanders off alone had not. */
export function driftChart(drifts: readonly ArmDrift[], { x, y, from }: DriftAxes, width: number): Markup {
  const small = width < 250
  const ticks = small ? 2 : UPWARDS
  return drawn({
    width,
    height: small ? 140 : 220,
    marginTop: 26,
    marginRight: 14,
    marginBottom: 46,
    marginLeft: 48,
    x: { domain: x.domain, label: null },
    y: { domain: y.domain, label: null },
    marks: [
      heightAxis(y, ticks),
      valueAxis(x, width),
      ...drifts.flatMap(({ points, look }) => [
        Plot.line(points, {
          x: ({ at }) => at - from,
          y: 'median',
          stroke: look.colour,
          strokeWidth: 2,
          strokeDasharray: look.dash,
        }),
        Plot.dot(points.length > 60 ? [] : points, {
          x: ({ at }) => at - from,
          y: 'median',
          fill: look.colour,
          symbol: look.symbol,
          r: small ? 2 : 4,
        }),
      ]),
      Plot.text([`median, ${y.unit}`], {
        frameAnchor: 'top-left',
        dx: -48,
        dy: -22,
        text: (words) => words,
        fill: 'var(--quiet)',
      }),
    ],
  })
}
