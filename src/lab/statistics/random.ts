import { createHash } from 'node:crypto'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'

export type { RandomGenerator }

/** Numbers for one purpose: the same for the same seed and words, and independent of what other purposes draw. */
export function randomFor(seed: number, ...purpose: readonly string[]): RandomGenerator {
  return xoroshiro128plus(
    createHash('sha256')
      .update(JSON.stringify([seed, ...purpose]))
      .digest()
      .readInt32LE(),
  )
}
