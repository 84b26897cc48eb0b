import * as Plot from '@observablehq/plot'
import type { Markup } from '../../../pages/html.ts'
import { difference, intervalOf, type Unit } from '../figures.ts'
import { axisOf, ticksFor } from './axis.ts'
import { shortened } from './looks.ts'
import { drawn } from './plot.ts'

export interface IntervalRow {
  readonly name: string
  /** Absent: nothing is drawn; `note` says why, in the words. */
  readonly value?: number | undefined
  readonly interval?: readonly [number, number] | undefined
  /** Differences within ± this do not matter. */
  readonly margin?: number | undefined
  readonly mark: keyof typeof marks
  readonly note?: string
}

/** What was found has a shape and a colour. */
const marks = {
  good: { symbol: 'circle', fill: 'var(--good)', stroke: 'var(--good)' },
  bad: { symbol: 'square', fill: 'var(--bad)', stroke: 'var(--bad)' },
  same: { symbol: 'diamond', fill: 'var(--reading)', stroke: 'var(--reading)' },
  open: { symbol: 'circle', fill: 'var(--page)', stroke: 'var(--text)' },
} as const

const TOP = 22
const ROW = 44
const BOTTOM = 50
const SIDE = 8

export interface IntervalChart {
  readonly width: number
  readonly unit: Unit
  readonly rows: readonly IntervalRow[]
  /** Under the axis at its two ends: what it means to be on that side. */
  readonly sides: readonly [left: string, right: string]
}

/** A row for each difference: what it is and its figures above, the interval with its point below; one axis, with a line at 0. */
export function intervalChart({ width, unit, rows, sides }: IntervalChart): Markup {
  const axis = axisOf(
    rows.flatMap(({ value = 0, interval = [value, value], margin = 0 }) => [value, ...interval, margin, -margin]),
    unit,
    { zero: true, room: 0.08 },
  )
  const placed = rows.map((row, index) => ({ ...row, at: TOP + index * ROW }))
  const height = TOP + rows.length * ROW + BOTTOM
  const bottom = height - BOTTOM
  const seen = placed.filter(hasValue)
  const longest = Math.floor((width - 110) / 7.2)
  const text = (of: typeof placed, write: (row: IntervalRow) => string, end: boolean, className: string) =>
    Plot.text(of, {
      x: end ? axis.domain[1] : axis.domain[0],
      y: 'at',
      text: write,
      textAnchor: end ? 'end' : 'start',
      fill: className,
    })
  return drawn({
    width,
    height,
    marginTop: 0,
    marginBottom: BOTTOM,
    marginLeft: SIDE,
    marginRight: SIDE,
    x: { domain: axis.domain, axis: null },
    y: { domain: [0, bottom], range: [0, bottom], axis: null },
    marks: [
      Plot.rect(
        placed.filter(({ margin }) => margin !== undefined),
        {
          x1: (row: IntervalRow) => -row.margin!,
          x2: (row: IntervalRow) => row.margin!,
          y1: ({ at }) => at + 10,
          y2: ({ at }) => at + 30,
          fill: 'var(--line)',
          fillOpacity: 0.6,
          stroke: 'var(--quiet)',
          strokeDasharray: '2 2',
        },
      ),
      Plot.ruleX(placed, { x: 0, y1: ({ at }) => at + 8, y2: ({ at }) => at + 32, stroke: 'var(--text)' }),
      Plot.axisX({
        ticks: axis.ticks(ticksFor(width)),
        tickFormat: axis.tick(ticksFor(width)),
        tickSize: 4,
        label: null,
        fill: 'var(--quiet)',
        stroke: 'var(--quiet)',
      }),
      Plot.ruleY([bottom], { stroke: 'var(--line)' }),
      text(placed, ({ name }) => shortened(name, longest), false, 'var(--text)'),
      text(seen, ({ value }) => difference(value!, unit), true, 'var(--text)'),
      text(
        placed.filter((row) => !hasValue(row)),
        () => 'no statement',
        true,
        'var(--quiet)',
      ),
      Plot.link(
        seen.filter(({ interval }) => interval !== undefined),
        {
          x1: ({ interval }) => interval![0],
          x2: ({ interval }) => interval![1],
          y: ({ at }) => at + 20,
          stroke: 'var(--text)',
          strokeWidth: 2,
        },
      ),
      ...[0, 1].map((end) =>
        Plot.ruleX(
          seen.filter(({ interval }) => interval !== undefined),
          {
            x: ({ interval }) => interval![end],
            y1: ({ at }) => at + 15,
            y2: ({ at }) => at + 25,
            stroke: 'var(--text)',
            strokeWidth: 2,
          },
        ),
      ),
      ...Object.entries(marks).map(([name, look]) =>
        Plot.dot(
          seen.filter(({ mark }) => mark === name),
          { x: 'value', y: ({ at }) => at + 20, r: 6, strokeWidth: 2, ...look },
        ),
      ),
      Plot.text([sides[0]], { frameAnchor: 'bottom-left', dy: 38, text: (side) => side, fill: 'var(--quiet)' }),
      Plot.text([sides[1]], { frameAnchor: 'bottom-right', dy: 38, text: (side) => side, fill: 'var(--quiet)' }),
      Plot.text([axis.unit], { frameAnchor: 'bottom', dy: 38, text: (unit) => unit, fill: 'var(--quiet)' }),
    ],
  })
}

const hasValue = ({ value }: IntervalRow) => value !== undefined

/** A row in words. */
export const intervalWords = ({ name, value, interval, note }: IntervalRow, unit: Unit): string =>
  value === undefined
    ? `${name}: ${note ?? 'no statement'}.`
    : `${name}: ${difference(value, unit)}${interval === undefined ? '' : ` (${intervalOf(interval, unit)})`}.`
