import { type PhaseName, phaseNames } from '../../core/record.ts'
import { medianOf } from '../statistics/median-interval.ts'
import {
  type Block,
  differenceInBlock,
  type Figure,
  firstToken,
  inBlock,
  overBlocks,
  phase,
  rounded,
  wholeCall,
} from './blocks.ts'
import { cellId } from './cells.ts'
import type { OverheadDesign, Transport } from './design.ts'
import type { Replication } from './result.ts'

/** The times of the original: its first stage, and its two interrupts, ms. */
export const ORIGINAL = { firstStageMs: 187, earlyMs: 100, lateMs: 500 } as const

/** The original two runs on one transport, with what their difference consists of. */
export function replicationOf(blocks: readonly Block[], design: OverheadDesign, transport: Transport): Replication {
  const early = cellId({ transport, interrupt: 'at 100 ms', handoff: 'drain' })
  const late = cellId({ transport, interrupt: 'at 500 ms' })
  const aborted = cellId({ transport, interrupt: 'at 100 ms', handoff: 'abort and wait' })
  const less = (figure: Figure) => (block: Block) => differenceInBlock(block, [early, late], figure)
  const over = (cell: string, figure = firstToken) => medianOf(blocks.map((block) => inBlock(block, cell, figure)))
  const { ms: differenceMs, ...how } = overBlocks(blocks, less(firstToken))
  const firstStageMs = over(cellId({ transport }), wholeCall) ?? design.firstStageMs[transport] ?? ORIGINAL.firstStageMs
  const figures = { at100Ms: over(early), at500Ms: over(late), differenceMs, abortAt100Ms: over(aborted) }
  const known = Object.entries(figures).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, rounded(ms)]]))
  return {
    ...(Object.fromEntries(known) as Partial<Record<keyof typeof figures, number>>),
    ...how,
    firstStageMs: rounded(firstStageMs),
    parts: differenceMs === undefined ? [] : partsOf(differenceMs, (name) => medianOf(blocks.map(less(phase(name))))),
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
    early === ORIGINAL.earlyMs && late === ORIGINAL.lateMs
      ? ''
      : ` The times are scaled to the first stage here: ${Math.round(early)} and ${Math.round(late)} ms in the place of 100 and 500.`
  const isOver =
    overFor > 0
      ? `At ${Math.round(late)} ms the first stage had been over for ${overFor} ms`
      : `The second stage is asked for at ${Math.round(late)} ms, or when the first one has ended`
  return `${isOver}: that run is a control in which nothing is interrupted.${scaled}`
}
