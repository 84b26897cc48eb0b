import { LEAST_TO_LOOK } from '../../src/experiments/sequences.ts'
import { Moments, meanSequence } from '../../src/experiments/statistics/confidence-sequence.ts'
import { randomFor } from '../../src/experiments/statistics/random.ts'
import { drawsFrom, sessionLatencies } from './simulated.ts'

export interface Looks {
  readonly seed: number
  readonly from: number
  readonly to: number
  /** Sessions of both arms after which looking ends. */
  readonly sessions: number
  readonly factor: number
}

export interface Looked {
  experiments: number
  /** Experiments in which 1 was outside the sequence at any look. */
  everOutside: number
  /** Experiments in which the true ratio was outside at any look. */
  everWrong: number
}

const ALPHA = 0.05

/** Live experiments that are looked at after every session, each session assigned by a coin. */
export function looked({ seed, from, to, sessions, factor }: Looks): Looked {
  const counted: Looked = { experiments: 0, everOutside: 0, everWrong: 0 }
  for (let number = from; number < to; number++) {
    const draw = drawsFrom(randomFor(seed, 'looks', String(number)))
    const [baseline, arm] = [new Moments(), new Moments()]
    let [isOutside, isWrong] = [false, false]
    for (let session = 0; session < sessions; session++) {
      const isArm = draw.uniform() < 0.5
      const logs = sessionLatencies(draw, 0, isArm ? factor : 1).map(Math.log)
      ;(isArm ? arm : baseline).add(logs.reduce((sum, log) => sum + log, 0) / logs.length)
      if (Math.min(arm.count, baseline.count) < LEAST_TO_LOOK) continue
      const { interval } = meanSequence(arm, baseline, ALPHA)
      isOutside ||= interval[0] > 0 || interval[1] < 0
      isWrong ||= interval[0] > Math.log(factor) || interval[1] < Math.log(factor)
    }
    counted.experiments += 1
    if (isOutside) counted.everOutside += 1
    if (isWrong) counted.everWrong += 1
  }
  return counted
}
