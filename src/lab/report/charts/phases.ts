import * as Plot from '@observablehq/plot'
import { html, type Markup } from '../../../pages/html.ts'
import { figure, type Unit } from '../figures.ts'
import { axisOf } from './axis.ts'
import { valueAxis } from './distribution.ts'
import { type PhaseLike, phaseFill, shortened } from './looks.ts'
import { drawn } from './plot.ts'

export interface PhaseRow {
  readonly name: string
  /** In their order, in the chart's unit; those below 0 are stacked to the left of 0. */
  readonly phases: readonly { readonly name: PhaseLike; readonly value: number }[]
}

export interface PhasesChart {
  readonly rows: readonly PhaseRow[]
  readonly unit: Unit
  /** What the axis is, beside its unit. */
  readonly label: string
}

const ROW = 64
const BOTTOM = 46

/** A bar for each row, from 0: its phases one after the other, each named below where there is room. */
export function phasesChart({ rows, unit, label }: PhasesChart, width: number): Markup {
  const placed = rows.map((row, index) => ({ ...row, at: index * ROW, total: totalOf(row) }))
  const segments = placed.flatMap(({ phases, at }) => {
    let [less, more] = [0, 0]
    return phases.map(({ name, value }) => {
      const from = value < 0 ? less : more
      if (value < 0) less += value
      else more += value
      return { name, value, from, to: from + value, at }
    })
  })
  const axis = axisOf(
    segments.map(({ to }) => to),
    unit,
    { zero: true, room: 0.02 },
  )
  const pxOf = (value: number) => (Math.abs(value) / (axis.domain[1] - axis.domain[0])) * (width - 16)
  const bottom = rows.length * ROW
  return drawn({
    width,
    height: bottom + BOTTOM,
    marginTop: 0,
    marginBottom: BOTTOM,
    marginLeft: 8,
    marginRight: 8,
    x: { domain: axis.domain, label: null },
    y: { domain: [0, bottom], range: [0, bottom], axis: null },
    marks: [
      valueAxis(axis, width, `${axis.unit} ${label}`),
      Plot.ruleY([bottom], { stroke: 'var(--line)' }),
      Plot.rect(segments, {
        x1: 'from',
        x2: 'to',
        y1: ({ at }) => at + 18,
        y2: ({ at }) => at + 36,
        fill: ({ name }) => phaseFill(name),
        stroke: 'var(--page)',
        strokeWidth: 1,
      }),
      Plot.text(placed, {
        x: axis.domain[0],
        y: ({ at }) => at + 9,
        text: ({ name }) => shortened(name, Math.floor((width - 100) / 7.2)),
        textAnchor: 'start',
        fill: 'var(--text)',
      }),
      Plot.text(placed, {
        x: axis.domain[1],
        y: ({ at }) => at + 9,
        text: ({ total }) => figure(total, unit),
        textAnchor: 'end',
        fill: 'var(--text)',
      }),
      Plot.text(
        segments.filter(({ name, value }) => pxOf(value) > name.length * 7.2 + 8),
        {
          x: ({ from, to }) => (from + to) / 2,
          y: ({ at }) => at + 45,
          text: 'name',
          fill: 'var(--quiet)',
        },
      ),
    ],
  })
}

const totalOf = ({ phases }: PhaseRow) => phases.reduce((sum, { value }) => sum + value, 0)

export const phaseKey = (names: Iterable<PhaseLike>): Markup =>
  html`<ul class="key">${[...names].map(
    (name) =>
      html`<li><svg aria-hidden="true"><rect width="28" height="12" fill="${phaseFill(name)}"/></svg>${name}</li>`,
  )}</ul>`

/** A row in words: its whole, and its three longest phases. */
export function phasesInWords(row: PhaseRow, unit: Unit): string {
  const longest = row.phases.toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 3)
  return `${row.name}: ${figure(totalOf(row), unit)}, of it ${longest.map(({ name, value }) => `${name} ${figure(value, unit)}`).join(', ')}.`
}
