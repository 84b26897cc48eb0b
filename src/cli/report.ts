import type { InterruptRecord, RunRecord } from '../core/record.ts'
import { milliseconds } from '../pages/figures.ts'
import { answersInWords } from './answer-words.ts'
import { oneLine, paragraph, type Screen } from './screen.ts'
import { interruptWaterfall } from './waterfall.ts'
import { callsInWords, costInWords, faultInWords } from './words.ts'

type Canvas = Pick<Screen, 'width' | 'paint'>

/** How much of a run's id people need to see; any beginning that no other run has names it. */
const SHORT_ID = 8
export const shortId = (runId: string): string => runId.slice(0, SHORT_ID)

/** One heading and waterfall for each interrupt that led to a first token. Lines, unended. */
export function interruptReport({ interrupts }: RunRecord, canvas: Canvas): string[] {
  return interrupts.flatMap((interrupt, index) => oneInterrupt(interrupt, index, interrupts.length, canvas))
}

/** The heading and waterfall of one of `count` interrupts. */
export function oneInterrupt(interrupt: InterruptRecord, index: number, count: number, canvas: Canvas): string[] {
  const heading = canvas.paint('heading', oneLine(interruptHeading(interrupt, index, count), canvas.width))
  const waterfall = interruptWaterfall(interrupt, canvas)
  const instead = interrupt.suppressed
    ? `  Refused: ${interrupt.reason}.`
    : interrupt.superseded
      ? '  A newer interrupt took its place.'
      : '  No further stage began.'
  return ['', heading, ...(waterfall.length > 0 ? waterfall : [canvas.paint('quiet', instead)])]
}

/** `Interrupt 2 of draft at 60 ms → abort`; numbered where there are several. */
export function interruptHeading({ from, at, decision }: InterruptRecord, index: number, count: number): string {
  return `Interrupt${count > 1 ? ` ${index + 1}` : ''} of ${from} at ${milliseconds(at)} → ${decision}`
}

/** How a run ended and what it cost. Lines, unended. */
export function endReport(record: RunRecord, canvas: Canvas): string[] {
  const { outcome, durationMs, error, cancelReason } = record
  const tone = outcome === 'completed' ? 'good' : 'bad'
  const reason = outcome === 'cancelled' && cancelReason !== undefined ? ` (${cancelReason})` : ''
  const head = `${outcome}${reason} in ${milliseconds(durationMs)}`
  const lines = paragraph(`${head}; ${lowered(costInWords(record))}`, canvas.width)
  const first = lines[0] ?? ''
  const painted = first.startsWith(outcome) ? canvas.paint(tone, outcome) + first.slice(outcome.length) : first
  return [
    '',
    painted,
    ...lines.slice(1),
    ...callsInWords(record).flatMap((sentence) => paragraph(sentence, canvas.width)),
    ...answersInWords(record).flatMap((sentence) => paragraph(sentence, canvas.width)),
    ...(error === undefined ? [] : paragraph(faultInWords(error), canvas.width)),
  ]
}

/** A sentence that goes on in another one. */
const lowered = (sentence: string): string => sentence.replace(/^No /, 'no ')
