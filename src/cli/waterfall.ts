import stringWidth from 'string-width'
import type { CallRecord, InterruptRecord, Phase, RunRecord } from '../core/record.ts'
import { counted, listed, milliseconds, share } from '../pages/figures.ts'
import { oneLine, paragraph, type Screen, type Tone } from './screen.ts'
import { SAME_WAIT_MS } from './words.ts'

type Canvas = Pick<Screen, 'width' | 'paint'>

const INDENT = '  '
const OBSERVED = '█'
const INFERRED = '▒'
const UNATTRIBUTED = '?'
const LEGEND_INFERRED = `${INFERRED} inferred from what the server reported; the rest was observed`
/** A bar narrower than this says nothing: then the figures beside it are left out. */
const NARROWEST_BAR = 12

/** The phases of one interrupt along one time axis, from the interrupt to the next stage's first token. Lines, unended. */
export function interruptWaterfall(interrupt: InterruptRecord, canvas: Canvas): string[] {
  const { phases, toFirstTokenMs } = interrupt
  if (toFirstTokenMs === undefined) return []
  const nameWidth = Math.max(...phases.map((phase) => phase.name.length), 'total'.length)
  const timeWidth = 9
  const shareWidth = 5
  const barWidth = canvas.width - INDENT.length - nameWidth - timeWidth - shareWidth - 4
  const line = (name: string, ms: number, bar: string, part: string) =>
    `${INDENT}${name.padEnd(nameWidth)} ${milliseconds(ms).padStart(timeWidth)}  ${bar} ${part.padStart(shareWidth)}`

  let start = 0
  const lines = phases.map((phase) => {
    const bar = barBetween(start, phase.ms, toFirstTokenMs, barWidth, glyphOf(phase), canvas, toneOf(phase))
    start += phase.ms
    return line(phase.name, phase.ms, bar, share(phase.ms, toFirstTokenMs))
  })
  const total = canvas.paint(
    'heading',
    `${INDENT}${'total'.padEnd(nameWidth)} ${milliseconds(toFirstTokenMs).padStart(timeWidth)}`,
  )
  const end = `  to the first token of ${interrupt.to ?? 'the next stage'}`
  const could = phases.find(({ name }) => name === 'unattributed')?.candidates ?? []
  const legend = [
    ...(could.length > 0 ? quietly(`${UNATTRIBUTED} ${listed(could, 'or')}: no observation tells which`, canvas) : []),
    ...(phases.some(isInferred) ? quietly(LEGEND_INFERRED, canvas) : []),
    ...signalLines(interrupt, canvas),
  ]
  return [...lines, total + oneOrNothing(end, canvas.width - INDENT.length - nameWidth - 1 - timeWidth), ...legend]
}

/** How long whoever sent the first signal waited, where that is longer. */
function signalLines({ at, firstSignalAt, toFirstTokenFromSignalMs: ms }: InterruptRecord, canvas: Canvas): string[] {
  if (firstSignalAt === undefined || ms === undefined || at - firstSignalAt < SAME_WAIT_MS) return []
  return quietly(
    `${milliseconds(ms)} from the first signal, which came ${milliseconds(at - firstSignalAt)} before the interrupt`,
    canvas,
  )
}

const quietly = (text: string, canvas: Canvas) =>
  paragraph(text, canvas.width, INDENT).map((line) => canvas.paint('quiet', line))

const oneOrNothing = (text: string, width: number) => (stringWidth(text) <= width ? text : '')

const isInferred = (phase: Phase) => phase.source === 'inferred' && phase.name !== 'unattributed'

function glyphOf(phase: Phase): string {
  if (phase.name === 'unattributed') return UNATTRIBUTED
  return phase.source === 'inferred' ? INFERRED : OBSERVED
}

function toneOf({ name }: Phase): Tone {
  if (name === 'unattributed') return 'unattributed'
  if (name === 'prefill' || name === 'load' || name === 'first-token' || name === 'thinking') return 'prefill'
  return name === 'drain' || name === 'settle' ? 'interrupt' : 'waiting'
}

/** A bar of `ms` that begins at `start` on an axis of `total` over `width` columns; never narrower than a sliver. */
function barBetween(
  start: number,
  ms: number,
  total: number,
  width: number,
  glyph: string,
  canvas: Canvas,
  tone: Tone,
): string {
  const column = (at: number) => Math.round((total <= 0 ? 0 : at / total) * width)
  const from = Math.min(column(start), width - 1)
  const cells = Math.min(column(start + ms), width) - from
  const bar = cells > 0 ? glyph.repeat(cells) : '▏'
  return ' '.repeat(from) + canvas.paint(tone, bar) + ' '.repeat(width - from - Math.max(cells, 1))
}

const WAITING = '·'
const BEFORE_FIRST_TOKEN = '░'
const DECODE = '█'
const CUT = '✂'
const FAILED = '✗'

/** The calls of a run as bars along one time axis. Lines, unended. */
export function runWaterfall(record: RunRecord, canvas: Canvas): string[] {
  const { stages, durationMs } = record
  if (stages.length === 0) return []
  const entries = new Map<string, number>()
  const rows = stages.map((call) => {
    const entry = (entries.get(call.id) ?? 0) + 1
    entries.set(call.id, entry)
    const name = entry === 1 ? call.id : `${call.id} (${entry})`
    return { call, name, facts: `${call.settlement}, ${counted(call.tokens.generated, 'token')}` }
  })
  const nameWidth = Math.min(20, Math.max(...rows.map((row) => stringWidth(row.name))))
  const factsWidth = Math.max(...rows.map((row) => row.facts.length)) + 2
  const room = canvas.width - INDENT.length - nameWidth - 2
  const withFacts = room - factsWidth >= NARROWEST_BAR
  const barWidth = withFacts ? room - factsWidth : room
  const lines = rows.map(({ call, name, facts }) => {
    const shown = oneLine(name, nameWidth)
    const padded = shown + ' '.repeat(nameWidth - stringWidth(shown))
    const bar = callBar(call, durationMs, barWidth, canvas)
    return `${INDENT}${padded}  ${bar}${withFacts ? `  ${canvas.paint('quiet', facts)}` : ''}`
  })
  return [axis(durationMs, nameWidth, barWidth, canvas), ...lines, ...quietly(legendOf(record), canvas)]
}

function axis(durationMs: number, nameWidth: number, barWidth: number, canvas: Canvas): string {
  const end = milliseconds(durationMs)
  return canvas.paint(
    'quiet',
    `${INDENT}${' '.repeat(nameWidth)}  0${' '.repeat(Math.max(1, barWidth - 1 - end.length))}${end}`,
  )
}

interface Span {
  readonly from: number
  readonly to: number
  readonly glyph: string
  readonly tone: Tone
}

function callBar(call: CallRecord, durationMs: number, width: number, canvas: Canvas): string {
  const column = (at: number) => Math.min(Math.round((durationMs <= 0 ? 0 : at / durationMs) * width), width)
  const cells: Span[] = []
  for (const span of spansOf(call)) {
    // What happened is seen, however short: a span has one column at least, unless the next one needs it.
    for (let at = column(span.from); at < Math.max(column(span.to), column(span.from) + 1) && at < width; at++)
      cells[at] = span
  }
  const mark = call.settlement === 'failed' ? FAILED : wasCut(call) ? CUT : undefined
  if (mark !== undefined) {
    const at = Math.min(column(call.settledMs), width - 1)
    cells[at] = { from: 0, to: 0, glyph: mark, tone: 'bad' }
  }
  let bar = ''
  for (let at = 0; at < width; at++) {
    const span = cells[at]
    bar += span === undefined ? ' ' : canvas.paint(span.tone, span.glyph)
  }
  return bar
}

/** Only what was observed: without a slot the whole call waited; without a first token nothing was decoded. */
function spansOf(call: CallRecord): Span[] {
  const slot = call.marks.find((mark) => mark.name === 'slot-acquired')?.ms
  const { startMs, settledMs, firstTokenMs, lastTokenMs } = call
  const spans: Span[] = [{ from: startMs, to: slot ?? settledMs, glyph: WAITING, tone: 'waiting' }]
  if (slot === undefined) return spans
  spans.push({ from: slot, to: firstTokenMs ?? settledMs, glyph: BEFORE_FIRST_TOKEN, tone: 'prefill' })
  if (firstTokenMs === undefined) return spans
  spans.push({ from: firstTokenMs, to: lastTokenMs ?? settledMs, glyph: DECODE, tone: 'decode' })
  return spans
}

const wasCut = ({ settlement }: CallRecord) => settlement === 'aborted' || settlement === 'withdrawn'

function legendOf({ stages }: RunRecord): string {
  const parts = [`${WAITING} waiting`, `${BEFORE_FIRST_TOKEN} before the first token`, `${DECODE} decode`]
  if (stages.some(wasCut)) parts.push(`${CUT} cut`)
  if (stages.some((call) => call.settlement === 'failed')) parts.push(`${FAILED} failed`)
  return parts.join('   ')
}
