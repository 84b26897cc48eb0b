import type { InterruptRecord, Phase } from '../../core/record.ts'
import { type Bar, barChart, type Fill, keyOf } from '../../pages/bars.ts'
import { listed, milliseconds, share } from '../../pages/figures.ts'
import { html, type Markup } from '../../pages/html.ts'

const key: readonly (readonly [Fill, string])[] = [
  ['cut', 'the old call: drain, settle'],
  ['waiting', 'deciding, waiting, on the way'],
  ['reading', 'the server: load, prefill, first token, thinking'],
  ['unknown', 'unattributed: no observation tells what it was'],
]

/** The phases of one interrupt: stacked in one bar, then one by one along the same axis. Nothing without a first token. */
export function phaseChart(interrupt: InterruptRecord, id: string): Markup | undefined {
  const { phases, toFirstTokenMs: total, to } = interrupt
  if (total === undefined || phases.length === 0) return undefined
  const starts = phases.map((_, index) => phases.slice(0, index).reduce((sum, { ms }) => sum + ms, 0))
  const bars = phases.map((phase, index) => barOf(phase, starts[index] ?? 0, total))
  const end = `to the first token${to === undefined ? '' : ` of ${to}`}`
  const rows = [
    { name: 'all', facts: milliseconds(total), bars },
    ...phases.map((phase, index) => ({
      name: phase.name,
      facts: `${milliseconds(phase.ms)} · ${share(phase.ms, total)} · ${sourceOf(phase)}`,
      bars: [bars[index]!],
    })),
  ]
  const used = new Set(bars.map(({ fill }) => fill))
  return html`<figure>
${barChart({
  id,
  title: `The phases from the interrupt ${end}`,
  description: `${milliseconds(total)} in all: ${rows
    .slice(1)
    .map(({ name, facts }) => `${name} ${facts}`)
    .join(', ')}.`,
  total,
  rows,
  tick: milliseconds,
})}
<figcaption>From the interrupt ${end}: length, share, and whether it was observed or inferred.</figcaption>
${keyOf(
  id,
  key.filter(([fill]) => used.has(fill)),
  bars.some(({ inferred }) => inferred),
)}
</figure>`
}

function barOf(phase: Phase, from: number, total: number): Bar {
  return {
    from,
    to: Math.min(from + phase.ms, total),
    fill: fillOf(phase),
    title: `${phase.name}: ${milliseconds(phase.ms)}, ${share(phase.ms, total)}, ${sourceOf(phase)}`,
    ...(phase.source === 'inferred' && { inferred: true }),
  }
}

/** Both ends of what is unattributed were seen, and nothing of what lies between. */
function sourceOf({ name, source, candidates = [] }: Phase): string {
  if (name !== 'unattributed') return source
  return candidates.length === 0 ? 'unexplained' : listed(candidates, 'or')
}

function fillOf({ name }: Phase): Fill {
  if (name === 'unattributed') return 'unknown'
  if (name === 'drain' || name === 'settle') return 'cut'
  return name === 'load' || name === 'prefill' || name === 'first-token' || name === 'thinking' ? 'reading' : 'waiting'
}
