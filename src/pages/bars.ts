import { scaleLinear } from 'd3-scale'
import { html, type Markup } from './html.ts'

/** What a bar is filled with. Each has a colour and a pattern of its own, so it is told apart without colours. */
export type Fill = 'waiting' | 'cut' | 'reading' | 'first-token' | 'decode' | 'unknown'

export interface Bar {
  /** On the axis, ms. */
  readonly from: number
  readonly to: number
  readonly fill: Fill
  /** Said when the pointer rests on it. */
  readonly title: string
  /** Not seen, but computed: drawn with a dashed outline. */
  readonly inferred?: boolean
}

export interface BarRow {
  /** Above the bars: what it is at the left, its figures at the right. */
  readonly name: string
  readonly facts: string
  readonly bars: readonly Bar[]
}

export interface BarChart {
  /** Unique on the page. */
  readonly id: string
  readonly title: string
  /** The whole content in words, for those who do not see it. */
  readonly description: string
  /** The length of the axis, ms; it begins at 0. */
  readonly total: number
  readonly rows: readonly BarRow[]
  /** Instants across all rows, with a label at the top. */
  readonly instants?: readonly { readonly at: number; readonly label: string }[]
  readonly tick: (ms: number) => string
}

const HEAD = 26
const ROW = 44
const TEXT_AT = 12
const BAR_AT = 18
const BAR_HEIGHT = 16
const MOST_TICKS = 4
/** A name beyond this runs into the figures on a phone. */
const LONGEST_NAME = 22

/**
 * Rows of bars along one time axis. All widths are percentages, so bars follow the page while text keeps its size;
 * a scaled drawing would be unreadable on a phone.
 */
export function barChart({ id, title, description, total, rows, instants = [], tick }: BarChart): Markup {
  const scale = scaleLinear()
    .domain([0, total > 0 ? total : 1])
    .range([0, 100])
    .clamp(true)
  const at = (ms: number) => `${scale(ms).toFixed(3)}%`
  const height = HEAD + rows.length * ROW
  const ticks = scale.ticks(MOST_TICKS)
  return html`<svg role="img" aria-labelledby="${id}-title ${id}-description" height="${height}">
<title id="${id}-title">${title}</title><desc id="${id}-description">${description}</desc>
${patterns(id)}
${ticks.map((ms) => html`<line class="grid" x1="${at(ms)}" x2="${at(ms)}" y1="${HEAD - 6}" y2="${height}"/>`)}
${ticks.map((ms) => html`<text class="quiet" x="${at(ms)}" y="12" text-anchor="${anchor(scale(ms))}">${tick(ms)}</text>`)}
${rows.map(({ bars }, index) => bars.map((bar) => oneBar(bar, HEAD + index * ROW + BAR_AT, id, at)))}
${instants.map(
  (
    instant,
  ) => html`<line class="instant" x1="${at(instant.at)}" x2="${at(instant.at)}" y1="${HEAD - 6}" y2="${height}"><title>${instant.label}</title></line>
<text x="${at(instant.at)}" y="${HEAD - 4}" text-anchor="middle" aria-hidden="true">▼</text>`,
)}
${rows.map((row, index) => heading(row, HEAD + index * ROW + TEXT_AT))}
</svg>`
}

const anchor = (percent: number) => (percent < 4 ? 'start' : percent > 96 ? 'end' : 'middle')

function heading({ name, facts }: BarRow, y: number): Markup {
  const shown = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name
  return html`<text x="0" y="${y}">${shown}</text><text class="quiet" x="100%" y="${y}" text-anchor="end">${facts}</text>
`
}

/** However short, and at whatever end, it is seen. Two that follow each other have a gap between them. */
function oneBar({ from, to, fill, title, inferred }: Bar, y: number, id: string, at: (ms: number) => string): Markup {
  const width = (Number.parseFloat(at(to)) - Number.parseFloat(at(from))).toFixed(3)
  const outline = inferred && html` stroke="var(--text)" stroke-dasharray="4 3"`
  return html`<rect x="${at(from)}" y="${y}" width="${width}%" height="${BAR_HEIGHT}" style="x:min(${at(from)},100% - 2px);width:max(2px,${width}% - 1px)" fill="url(#${id}-${fill})"${outline}><title>${title}</title></rect>
`
}

const colours: Record<Fill, string> = {
  waiting: 'waiting',
  cut: 'cut',
  reading: 'reading',
  'first-token': 'reading',
  decode: 'decode',
  unknown: 'unknown',
}

/** Drawn on a ground of the same colour, made paler; a bar hides what lies below it. */
const strokes: Record<Fill, Markup | undefined> = {
  waiting: html`<circle cx="2" cy="2" r="1"/><circle cx="6" cy="6" r="1"/>`,
  cut: html`<path d="M-2 2l4-4M0 8l8-8M6 10l4-4" stroke-width="2.5"/>`,
  reading: html`<path d="M0 2h8M0 6h8" stroke-width="2"/>`,
  'first-token': html`<path d="M2 0v8M6 0v8" stroke-width="2"/>`,
  decode: undefined,
  unknown: html`<path d="M0 0l8 8M8 0l-8 8" stroke-width="1.5"/>`,
}

/** Ids are of the page, so each drawing has its own. */
const patterns = (id: string): Markup =>
  html`<defs>${Object.entries(strokes).map(
    ([name, stroke]) =>
      html`<pattern id="${id}-${name}" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" style="fill:var(--page)"/><rect width="8" height="8" style="fill:var(--${colours[name as Fill]})" fill-opacity="${stroke === undefined ? 1 : 0.3}"/><g style="stroke:var(--${colours[name as Fill]});fill:var(--${colours[name as Fill]})">${stroke}</g></pattern>`,
  )}</defs>`

/** What the fills mean. */
export const keyOf = (id: string, entries: readonly (readonly [Fill, string])[], inferred = false): Markup =>
  html`<ul class="key">${entries.map(([fill, words]) => html`<li>${swatch(id, fill, false)}${words}</li>`)}${
    inferred && html`<li>${swatch(id, 'reading', true)}dashed: inferred from what the server reported</li>`
  }</ul>`

const swatch = (id: string, fill: Fill, inferred: boolean) =>
  html`<svg aria-hidden="true"><rect width="28" height="12" fill="url(#${id}-${fill})"${inferred && html` stroke="var(--text)" stroke-dasharray="4 3"`}/></svg>`
