import type { Block } from './blocks.ts'
import { handoffs, type OverheadDesign, transports } from './design.ts'
import type { Slope } from './result.ts'
import type { Sample } from './sample.ts'
import { bootstrapInterval, lineOf, rounded, roundedPair } from './statistics.ts'

/** What of drain is left without its wait: the fixed cost, which must not depend on when the interrupt came. */
export const FIXED = 'drain, without its wait'

/** As many as a page draws; no design has more. */
const MOST_POINTS = 1_000

type Point = readonly [sinceMs: number, toFirstTokenMs: number]

/** Interrupt → first token against when the interrupt came, of those that came inside the first stage. */
export function slopesFrom(blocks: readonly Block[], design: OverheadDesign): Slope[] {
  return transports.flatMap((transport) =>
    handoffs.flatMap((handoff) => {
      const cell = design.cells.find(
        (each) => each.transport === transport && each.interrupt === 'uniform' && each.handoff === handoff,
      )
      if (cell === undefined) return []
      const samples = blocks.map((block) => block.get(cell.id) ?? [])
      const slope = (name: string, without: (sample: Sample) => number): Slope =>
        leastSquares(name, transport, pointsOf(samples, without), design.seed)
      return [
        slope(handoff, () => 0),
        ...(handoff === 'drain' ? [slope(FIXED, ({ phases }) => phases.drain ?? 0)] : []),
      ]
    }),
  )
}

const pointsOf = (blocks: readonly (readonly Sample[])[], without: (sample: Sample) => number): Point[][] =>
  blocks
    .map((samples) =>
      samples.flatMap((sample): Point[] => {
        const { sinceCallMs, firstTokenMs } = sample
        if (sinceCallMs === undefined || firstTokenMs === undefined) return []
        return [[sinceCallMs, firstTokenMs - without(sample)]]
      }),
    )
    .filter((points) => points.length > 0)

function leastSquares(handoff: string, transport: Slope['transport'], blocks: readonly Point[][], seed: number): Slope {
  const points = blocks.flat()
  const line = lineOf(points)
  const interval = bootstrapInterval(blocks, (drawn) => lineOf(drawn.flat())?.slope, seed)
  return {
    ...{ handoff, transport },
    ...(line !== undefined && { value: rounded(line.slope), intercept: rounded(line.intercept) }),
    ...(line !== undefined && interval !== undefined && { interval: roundedPair(interval) }),
    n: points.length,
    points: points.slice(0, MOST_POINTS).map(([sinceCallMs, toFirstTokenMs]) => ({
      sinceCallMs: rounded(sinceCallMs),
      toFirstTokenMs: rounded(toFirstTokenMs),
    })),
  }
}
