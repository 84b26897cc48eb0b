import * as Plot from '@observablehq/plot'
import type { Markup } from '../../../pages/html.ts'
import type { FrontPoint } from '../../analysis.ts'
import type { Unit } from '../figures.ts'
import { axisOf } from './axis.ts'
import { heightAxis, valueAxis } from './distribution.ts'
import { placeLabels } from './labels.ts'
import { type Look, shortened } from './looks.ts'
import { drawn } from './plot.ts'

export interface FrontArm extends FrontPoint {
  readonly look: Look
  /** Written beside the point. */
  readonly label: string
}

const MARGIN = { top: 30, right: 14, bottom: 46, left: 50 }
const HEIGHT = 280

/** Latency to the right, waste upwards: what is nearest to the corner at the bottom left is best. */
export function frontChart(
  arms: readonly FrontArm[],
  waste: 'wastedTokens' | 'wastedSlotMs',
  unit: Unit,
  width: number,
): Markup {
  const points = arms.flatMap(({ latencyMs, ...arm }) => (latencyMs === undefined ? [] : [{ ...arm, latencyMs }]))
  const x = axisOf(
    points.map(({ latencyMs }) => latencyMs),
    'ms',
    { zero: true, room: 0.12 },
  )
  const y = axisOf(
    points.map((point) => point[waste]),
    unit,
    { zero: true, room: 0.12 },
  )
  const across = (value: number) =>
    MARGIN.left + ((value - x.domain[0]) / (x.domain[1] - x.domain[0])) * (width - MARGIN.left - MARGIN.right)
  const down = (value: number) =>
    HEIGHT -
    MARGIN.bottom -
    ((value - y.domain[0]) / (y.domain[1] - y.domain[0])) * (HEIGHT - MARGIN.top - MARGIN.bottom)
  const labels = placeLabels(
    points.map((point) => ({ x: across(point.latencyMs), y: down(point[waste]), text: shortened(point.label, 18) })),
    { left: MARGIN.left, right: width, top: MARGIN.top - 8, bottom: HEIGHT - MARGIN.bottom },
  )
  const front = lowerLeft(points.map((point) => ({ x: point.latencyMs, y: point[waste] })))
  return drawn({
    width,
    height: HEIGHT,
    marginTop: MARGIN.top,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    x: { domain: x.domain, label: null },
    y: { domain: y.domain, label: null },
    marks: [
      heightAxis(y),
      valueAxis(x, width, `median interrupt → first token, ${x.unit}`),
      Plot.line(front, { x: 'x', y: 'y', curve: 'step-after', stroke: 'var(--quiet)', strokeDasharray: '4 3' }),
      ...points.map((point) =>
        Plot.dot([point], {
          x: 'latencyMs',
          y: waste,
          r: 6,
          symbol: point.look.symbol,
          stroke: point.look.colour,
          strokeWidth: 2,
          fill: point.onFront ? point.look.colour : 'var(--page)',
        }),
      ),
      Plot.text(labels, {
        frameAnchor: 'top-left',
        x: ({ x: at }) =>
          x.domain[0] + ((at - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * (x.domain[1] - x.domain[0]),
        y: ({ y: at }) =>
          y.domain[0] +
          ((HEIGHT - MARGIN.bottom - at) / (HEIGHT - MARGIN.top - MARGIN.bottom)) * (y.domain[1] - y.domain[0]),
        text: 'text',
        textAnchor: 'start',
        lineAnchor: 'middle',
        fill: 'var(--text)',
      }),
      Plot.text([y.unit], { frameAnchor: 'top-left', dx: -50, dy: -24, text: (words) => words, fill: 'var(--quiet)' }),
    ],
  })
}

/** Of the points those that none is left of and below, from left to right. */
function lowerLeft(points: readonly { readonly x: number; readonly y: number }[]) {
  let best = Number.POSITIVE_INFINITY
  return points
    .toSorted((a, b) => a.x - b.x || a.y - b.y)
    .filter(({ y }) => {
      const better = y < best
      best = Math.min(best, y)
      return better
    })
}
