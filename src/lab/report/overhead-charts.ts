import { html, type Markup } from '../../pages/html.ts'
import { intervalName } from '../overhead/answer.ts'
import type { Contrast, Overhead, Slope } from '../overhead/result.ts'
import { leavesOut } from '../statistics/contrast.ts'
import { LEAST_FOR_95 } from '../statistics/median-interval.ts'
import { type Cloud, cloudAxes, cloudChart } from './charts/cloud.ts'
import { figureOf, panels } from './charts/figure.ts'
import { type IntervalRow, intervalChart, intervalWords } from './charts/intervals.ts'
import { lookOf } from './charts/looks.ts'
import { PANEL } from './charts/plot.ts'
import { places } from './figures.ts'

/** What is below this share of the largest is not seen beside it, and gets a scale of its own. */
const SMALL = 0.1

/** Every contrast with its interval. */
export function contrastsFigure({ contrasts, setting: { blocks } }: Overhead): Markup | undefined {
  const usual = contrasts[0]?.server.replace(/, .*/, '')
  const rows = contrasts
    .filter(({ ms }) => ms !== undefined)
    .map((each) => ({ ...rowOf(each, usual), size: sizeOf(each) }))
    .toSorted((a, b) => b.size - a.size)
  if (rows.length === 0) return undefined
  const largest = Math.max(...rows.map(({ size }) => size))
  const groups = [
    { heading: 'The large ones', rows: rows.filter(({ size }) => size >= largest * SMALL) },
    { heading: 'The small ones, on a finer scale', rows: rows.filter(({ size }) => size < largest * SMALL) },
  ].filter((group) => group.rows.length > 0)
  const name = intervalName(blocks)
  return figureOf({
    id: 'contrasts',
    title: blocks < 2 ? 'Each cost' : `Each cost with its ${name}`,
    words: [
      usual && `Of the ${usual} where nothing else is said.`,
      ...rows.map((row) => intervalWords(row, 'ms')),
      blocks > 1 &&
        `A filled point: the ${name} does not touch the line at 0${blocks < LEAST_FOR_95 ? '.' : ', so this cost is there.'}`,
    ],
    drawing: panels(
      groups.map(({ heading, rows }) => ({
        heading: groups.length === 1 ? 'All' : heading,
        drawing: intervalChart({ width: PANEL, unit: 'ms', rows, sides: ['← saves time', 'costs time →'] }),
      })),
    ),
    key: html`<ul class="key"><li><span class="neutral">◆</span> not 0</li><li>○ may be 0</li></ul>`,
  })
}

/** A drawing has room for 30 characters: the usual server is not named, and the embedded one in a word. */
function nameOf({ name, server }: Contrast, usual: string | undefined): string {
  const [where, ...by] = server.split(', ')
  const what = where === usual ? name : `${where?.replace('embedded server', 'embedded')} ${name}`
  return [what, ...by].join(', ')
}

const rowOf = (contrast: Contrast, usual: string | undefined): IntervalRow => ({
  name: nameOf(contrast, usual),
  value: contrast.ms,
  interval: contrast.interval,
  mark: contrast.interval !== undefined && leavesOut(contrast.interval, 0) ? 'same' : 'open',
})

const sizeOf = ({ ms = 0, interval = [ms, ms] }: Contrast) => Math.max(...[ms, ...interval].map(Math.abs))

type DrawnSlope = Slope & Pick<Required<Slope>, 'points'>

/** A cloud of interrupts for each slope that has its points. */
export function slopesFigure({ slopes }: Overhead): Markup | undefined {
  const drawn = slopes.filter((slope): slope is DrawnSlope => slope.points !== undefined && slope.points.length > 0)
  if (drawn.length === 0) return undefined
  const clouds = drawn.map((slope) => ({ name: slopeName(slope), cloud: cloudOf(slope), slope }))
  const axes = cloudAxes(drawn)
  const looks = [...new Set(drawn.map(({ handoff }) => handoff))]
  return figureOf({
    id: 'slopes',
    title: 'Interrupt → first token against the moment of the interrupt',
    words: [
      ...clouds.map(({ name, slope }) => `${name}: ${slopeWords(slope)}.`),
      'Dotted: a fall of 1 ms a ms, which is what waiting for the rest of the old call looks like.',
    ],
    drawing: panels(
      clouds.map(({ name, cloud, slope }) => ({
        heading: name,
        drawing: cloudChart(cloud, axes, lookOf(looks.indexOf(slope.handoff)), PANEL),
      })),
    ),
  })
}

export const slopeName = ({ handoff, transport }: Slope): string => `${handoff}, ${transport}`

export const slopeWords = ({ value, interval, n }: Slope): string =>
  value === undefined
    ? `no slope, ${n} interrupts`
    : `slope ${places(value)}${interval === undefined ? '' : ` (${places(interval[0])} to ${places(interval[1])})`} ms a ms, ${n} interrupts`

/** A line of least squares goes through the means. */
function cloudOf({ points, value, intercept }: DrawnSlope): Cloud {
  if (value === undefined) return { points }
  const mean = (of: (point: DrawnSlope['points'][number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const through = mean(({ toFirstTokenMs }) => toFirstTokenMs) - value * mean(({ sinceCallMs }) => sinceCallMs)
  return { points, slope: { value, intercept: intercept ?? through } }
}
