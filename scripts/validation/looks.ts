import { LEAST_TO_LOOK, lookAt } from '../../src/lab/sequences.ts'
import { randomFor } from '../../src/lab/statistics/random.ts'
import { SortedColumn } from '../../src/lab/statistics/sorted-column.ts'
import { drawsFrom, sessionLatencies } from './simulated.ts'
import { shapeLatencies, type shapes } from './worlds.ts'

export interface Looks {
  readonly seed: number
  readonly from: number
  readonly to: number
  /** Sessions of both arms after which looking ends. */
  readonly sessions: number
  readonly factor: number
  /** Arms of unequal shape, with one interrupt a session; absent: arms of one shape, with as many as sessions have. */
  readonly world?: keyof typeof shapes
}

export interface Looked {
  experiments: number
  /** Experiments in which 1 was outside the sequence at any look. */
  everOutside: number
  /** Experiments in which the true ratio was outside at any look. */
  everWrong: number
}

const ALPHA = 0.05
/** Each look comes when there are so many times as many sessions as at the last one: about 60 looks. */
const LATER = 1.05

/** Live experiments that are looked at again and again, each session assigned by a coin. */
export function looked({ seed, from, to, sessions, factor, world }: Looks): Looked {
  const counted: Looked = { experiments: 0, everOutside: 0, everWrong: 0 }
  for (let number = from; number < to; number++) {
    const draw = drawsFrom(randomFor(seed, 'looks', world ?? '', String(number)))
    const [baseline, arm] = [growing(), growing()]
    let [isOutside, isWrong, next] = [false, false, 2 * LEAST_TO_LOOK]
    for (let session = 1; session <= sessions; session++) {
      const isArm = draw.uniform() < 0.5
      const latencies =
        world === undefined
          ? sessionLatencies(draw, 0, isArm ? factor : 1)
          : shapeLatencies(draw, world, isArm ? factor : undefined)
      ;(isArm ? arm : baseline).add(latencies.map(Math.log))
      if (session < next) continue
      next = session * LATER
      const { interval } = lookAt(arm.column(), baseline.column(), ALPHA)
      if (interval === undefined) continue
      isOutside ||= interval[0] > 1 || interval[1] < 1
      isWrong ||= interval[0] > factor || interval[1] < factor
    }
    counted.experiments += 1
    if (isOutside) counted.everOutside += 1
    if (isWrong) counted.everWrong += 1
  }
  return counted
}

/** The values of one arm so far. */
function growing() {
  const values: number[] = []
  const clusters: number[] = []
  let count = 0
  return {
    add(session: readonly number[]) {
      values.push(...session)
      clusters.push(...session.map(() => count))
      count += 1
    },
    column: () => new SortedColumn(Float64Array.from(values), Uint32Array.from(clusters), count, { quantiles: false }),
  }
}
