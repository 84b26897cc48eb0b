import type { MetricName } from '../core/experiment.ts'

// What a report draws and `Analysis` does not hold. Plain JSON; at most a few thousand points whatever the number of trials.

export interface QuantileCurve {
  readonly metric: MetricName
  readonly arm: string
  /** Rising in `q`, which is above 0 and below 1. Ends where censored values begin. `low` and `high`: 95 %, cluster bootstrap. */
  readonly points: readonly {
    readonly q: number
    readonly value: number
    readonly low?: number
    readonly high?: number
  }[]
  readonly censoredShare: number
}

/** When interrupts came, and how long the next first token took. */
export interface InterruptCloud {
  readonly arm: string
  /** A sample drawn with the experiment's seed where there are more than 1,000. */
  readonly points: readonly { readonly sinceCallMs: number; readonly toFirstTokenMs: number }[]
  readonly of: number
  /** Least squares over all of them with an interrupted call that was still running; ms a ms. Absent with fewer than 3 distinct times. */
  readonly slope?: { readonly value: number; readonly intercept: number; readonly interval?: readonly [number, number] }
}

/** Medians of the primary metric in order: of blocks, or of equal stretches of time. At most 200 points. */
export interface Drift {
  readonly arm: string
  readonly by: 'block' | 'time'
  readonly points: readonly { readonly at: number; readonly median: number; readonly n: number }[]
}

export interface Curves {
  readonly quantiles: readonly QuantileCurve[]
  readonly clouds: readonly InterruptCloud[]
  readonly drift: readonly Drift[]
}
