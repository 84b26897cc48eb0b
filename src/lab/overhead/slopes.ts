import { randomFor } from '../statistics/random.ts'
import { slopeOf } from '../statistics/regression.ts'
import { type Block, rounded, roundedPair } from './blocks.ts'
import { handoffs, type OverheadDesign, type Transport, transports } from './design.ts'
import type { Slope } from './result.ts'
import type { Sample } from './sample.ts'

/** What of drain is left without its wait: the fixed cost, which must not depend on when the interrupt came. */
export const FIXED = 'drain, without its wait'

/** As many as a page draws; no design has more. */
const MOST_POINTS = 1_000

/** Interrupt → first token against when the interrupt came, of those that came inside the first stage. */
export function slopesFrom(blocks: readonly Block[], { cells, seed }: OverheadDesign): Slope[] {
  const drawn = cells.filter(({ interrupt }) => interrupt === 'uniform')
  return transports.flatMap((transport) =>
    handoffs.flatMap((handoff) => {
      const cell = drawn.find((each) => each.transport === transport && each.handoff === handoff)
      if (cell === undefined) return []
      const slope = (name: string, without: (sample: Sample) => number): Slope => {
        const points = blocks.flatMap((block, cluster) =>
          (block.get(cell.id) ?? []).flatMap((sample) => {
            const { sinceCallMs: x, firstTokenMs } = sample
            return x === undefined || firstTokenMs === undefined
              ? []
              : [{ x, y: firstTokenMs - without(sample), cluster }]
          }),
        )
        return leastSquares(points, { handoff: name, transport, seed })
      }
      return [
        slope(handoff, () => 0),
        ...(handoff === 'drain' ? [slope(FIXED, ({ phases }) => phases.drain ?? 0)] : []),
      ]
    }),
  )
}

interface Point {
  readonly x: number
  readonly y: number
  /** Its block. */
  readonly cluster: number
}

function leastSquares(
  points: readonly Point[],
  { handoff, transport, seed }: { handoff: string; transport: Transport; seed: number },
): Slope {
  const clusters = [...new Set(points.map(({ cluster }) => cluster))]
  const line = slopeOf(
    Float64Array.from(points, ({ x }) => x),
    Float64Array.from(points, ({ y }) => y),
    Uint32Array.from(points, ({ cluster }) => clusters.indexOf(cluster)),
    clusters.length,
    randomFor(seed, 'slope', handoff, transport),
  )
  return {
    ...{ handoff, transport },
    ...(line !== undefined && { value: rounded(line.value), intercept: rounded(line.intercept) }),
    ...(line?.interval !== undefined && { interval: roundedPair(line.interval) }),
    n: points.length,
    points: points.slice(0, MOST_POINTS).map(({ x, y }) => ({ sinceCallMs: rounded(x), toFirstTokenMs: rounded(y) })),
  }
}
