import { type PhaseName, phaseNames } from '../../core/record.ts'
import {
  type Block,
  differenceInBlock,
  type Figure,
  firstToken,
  inBlock,
  overBlocks,
  phase,
  wholeCall,
} from './blocks.ts'
import { cellId } from './cells.ts'
import type { OverheadDesign, Transport } from './design.ts'
import type { Replication } from './result.ts'
import { median, rounded } from './statistics.ts'

/** The times of the original: its first stage, and its two interrupts, ms. */
export const ORIGINAL = { firstStageMs: 187, earlyMs: 100, lateMs: 500 } as const

/** The original two runs on one transport, with what their difference consists of. */
export function replicationOf(blocks: readonly Block[], design: OverheadDesign, transport: Transport): Replication {
  const early = cellId({ transport, interrupt: 'at 100 ms', handoff: 'drain' })
  const late = cellId({ transport, interrupt: 'at 500 ms' })
  const aborted = cellId({ transport, interrupt: 'at 100 ms', handoff: 'abort and wait' })
  const less = (figure: Figure) => (block: Block) => differenceInBlock(block, early, late, figure)
  const at = (cell: string) => median(blocks.map((block) => inBlock(block, cell, firstToken)))
  const { ms: differenceMs, interval, n } = overBlocks(blocks, less(firstToken))
  const firstStageMs =
    median(blocks.map((block) => inBlock(block, cellId({ transport }), wholeCall))) ??
    design.firstStageMs[transport] ??
    ORIGINAL.firstStageMs
  const figures = { at100Ms: at(early), at500Ms: at(late), differenceMs, abortAt100Ms: at(aborted) }
  const known = Object.entries(figures).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, rounded(ms)]]))
  return {
    ...(Object.fromEntries(known) as Partial<Record<keyof typeof figures, number>>),
    ...(interval !== undefined && { interval }),
    n,
    firstStageMs: rounded(firstStageMs),
    parts:
      differenceMs === undefined ? [] : partsOf(rounded(differenceMs), (name) => median(blocks.map(less(phase(name))))),
    transport,
    note: noteOn(design, firstStageMs),
  }
}

/** Medians do not sum: what is missing to the difference is unattributed, like what no observation explains. */
function partsOf(whole: number, differenceOf: (name: PhaseName) => number | undefined): Replication['parts'] {
  const parts = phaseNames
    .filter((name) => name !== 'unattributed')
    .map((name) => ({ name, ms: rounded(differenceOf(name) ?? 0) }))
    .filter(({ ms }) => ms !== 0)
  const rest = rounded(whole - parts.reduce((sum, { ms }) => sum + ms, 0))
  return [...parts, ...(rest === 0 ? [] : [{ name: 'unattributed' as const, ms: rest }])].sort(
    (a, b) => Math.abs(b.ms) - Math.abs(a.ms),
  )
}

function noteOn({ replicationMs: { early, late } }: OverheadDesign, firstStageMs: number): string {
  const overFor = Math.round(late - firstStageMs)
  const scaled =
    early === ORIGINAL.earlyMs
      ? ''
      : ` The times are scaled to the first stage here: ${Math.round(early)} and ${Math.round(late)} ms in the place of 100 and 500.`
  return `At ${Math.round(late)} ms the first stage had been over for ${overFor} ms: that run is a control in which nothing is interrupted.${scaled}`
}
