import { markOf } from '../../core/activity.ts'
import { callName, callsOf } from '../../core/call-names.ts'
import type { CallRecord, RunRecord } from '../../core/record.ts'
import { type Bar, barChart, type Fill, keyOf } from '../../pages/bars.ts'
import { counted, milliseconds } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'

/** The calls of a run along one time axis, with the instants of its interrupts. */
export function callChart({ interrupts, durationMs, ...record }: RunRecord): Markup {
  const stages = callsOf(record)
  const rows = stages.map((call) => ({
    name: callName(call),
    facts: `${call.settlement}, ${counted(call.tokens.generated, 'token')}`,
    bars: barsOf(call),
  }))
  const description = stages.map(callInWords).join(' ')
  const used = new Set(rows.flatMap(({ bars }) => bars.map(({ fill }) => fill)))
  return html`<figure>
${barChart({
  id: 'calls',
  title: 'The calls of the run',
  description,
  total: durationMs,
  rows,
  instants: interrupts.map(({ at, from }) => ({ at, label: `interrupt of ${from} at ${milliseconds(at)}` })),
  tick: milliseconds,
})}
<figcaption>From the run's start, ${milliseconds(durationMs)} in all.${interrupts.length > 0 && ' ▼ an interrupt.'}</figcaption>
${keyOf(
  'calls',
  key.filter(([fill]) => used.has(fill)),
)}
</figure>`
}

const key: readonly (readonly [Fill, string])[] = [
  ['waiting', 'waiting, connecting'],
  ['reading', 'load, prefill'],
  ['first-token', 'before the first token'],
  ['decode', 'decode'],
  ['cut', 'being cancelled'],
]

/** Only what was observed: without a slot the whole call waited; without a first token nothing was decoded. */
function barsOf(call: CallRecord): Bar[] {
  const { startMs, settledMs, firstTokenMs, lastTokenMs } = call
  const bars: Bar[] = []
  const add = (words: string, fill: Fill, from: number | undefined, to: number | undefined) => {
    if (from === undefined || to === undefined || to <= from) return
    bars.push({ from, to, fill, title: `${call.id}: ${words}, ${milliseconds(to - from)}` })
  }
  const slotAt = markOf(call, 'slot-acquired')
  const cutAt = markOf(call, 'abort-requested')
  add('waiting for a slot', 'waiting', startMs, slotAt ?? settledMs)
  add('before the first token', 'first-token', slotAt, Math.min(firstTokenMs ?? settledMs, cutAt ?? settledMs))
  // Over what it says more of.
  add('connecting', 'waiting', markOf(call, 'connect-start'), markOf(call, 'connected'))
  add('loading the model', 'reading', markOf(call, 'load-start'), markOf(call, 'load-end'))
  add('prefill', 'reading', markOf(call, 'prefill-start'), markOf(call, 'prefill-end'))
  add('decode', 'decode', firstTokenMs, lastTokenMs ?? settledMs)
  add('being cancelled', 'cut', cutAt, settledMs)
  return bars
}

const callInWords = (call: CallRecord): string => {
  const first = call.firstTokenMs === undefined ? 'no token came' : `first token at ${milliseconds(call.firstTokenMs)}`
  return `${call.id}: from ${milliseconds(call.startMs)} to ${milliseconds(call.settledMs)}, ${first}, ${call.settlement}, ${counted(call.tokens.generated, 'token')}.`
}
