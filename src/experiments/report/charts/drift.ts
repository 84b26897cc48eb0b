import * as Plot from '@observablehq/plot'
import type { Markup } from '../../../pages/html.ts'
import type { Drift } from '../../curves.ts'
import type { Unit } from '../figures.ts'
import { type Axis, axisOf, UPWARDS } from './axis.ts'
import { valueAxis } from './distribution.ts'
import type { Look } from './looks.ts'
import { drawn } from './plot.ts'

export interface ArmDrift extends Drift {
  readonly look: Look
}

export const driftAxis = (drifts: readonly Drift[], unit: Unit): Axis =>
  axisOf(
    drifts.flatMap(({ points }) => points.map(({ median }) => median)),
    unit,
    { zero: true, room: 0.1 },
  )

/** The medians in order. Arms that rise and fall together had the same conditions; one that wanders off alone had not. */
export function driftChart(drifts: readonly ArmDrift[], y: Axis, width: number): Markup {
  const small = width < 250
  const ticks = small ? 2 : UPWARDS
  const ats = drifts.flatMap(({ points }) => points.map(({ at }) => at))
  const [first, last] = [Math.min(...ats, Number.MAX_SAFE_INTEGER), Math.max(...ats, 0)]
  const domain = first < last ? [first, last] : [last - 1, last + 1]
  const by = drifts[0]?.by ?? 'block'
  const axis: Axis = {
    domain: [domain[0]!, domain[1]!],
    unit: '',
    tick: () => (at) => (Number.isInteger(at) ? String(at) : ''),
  }
  return drawn({
    width,
    height: small ? 140 : 220,
    marginTop: 26,
    marginRight: 14,
    marginBottom: 46,
    marginLeft: 48,
    x: { domain: axis.domain, label: null },
    y: { domain: y.domain, label: null },
    marks: [
      Plot.gridY({ ticks, stroke: 'var(--line)', strokeOpacity: 1 }),
      Plot.axisY({ ticks, tickFormat: y.tick(ticks), tickSize: 0, label: null, fill: 'var(--quiet)' }),
      valueAxis(axis, width, by === 'block' ? 'block' : 'stretch of time'),
      ...drifts.flatMap(({ points, look }) => [
        Plot.line(points, { x: 'at', y: 'median', stroke: look.colour, strokeWidth: 2, strokeDasharray: look.dash }),
        Plot.dot(points.length > 60 ? [] : points, {
          x: 'at',
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
