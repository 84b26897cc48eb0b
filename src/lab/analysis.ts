import type { Effect, MetricName, Statistic } from '../core/experiment.ts'
import type { PhaseName } from '../core/record.ts'

// What `ab --json` and `ab analyse --json` print: plain JSON. Figures that do not exist are absent: never null, never NaN.

/** The distribution of one metric in one arm. */
export interface Distribution {
  readonly n: number
  /** Of them: never reached, counted as longer than all others. A quantile that falls there is absent, and so is the mean. */
  readonly censored: number
  readonly mean?: number
  readonly p50?: number
  readonly p95?: number
  readonly p99?: number
}

export interface ArmSummary {
  readonly name: string
  readonly policy: string
  readonly sessions: number
  readonly trials: number
  readonly interrupts: number
  /** Thrown away. */
  readonly warmUps: number
  readonly outcomes: { readonly completed: number; readonly cancelled: number; readonly failed: number }
  /** What became of the interrupted calls, by settlement. */
  readonly settlements: Readonly<Record<string, number>>
  /** How interrupts ended: `reached`, `lost`, `superseded`, `nowhere`. */
  readonly ends: Readonly<Record<string, number>>
  readonly metrics: Readonly<Partial<Record<MetricName, Distribution>>>
  /** Mean over the interrupts that reached a first token; shares sum to 1. */
  readonly phases: readonly { readonly name: PhaseName; readonly meanMs: number; readonly share: number }[]
}

export interface Comparison {
  readonly metric: MetricName
  readonly statistic: Statistic
  readonly arm: string
  readonly baseline: string
  /** `all` sessions as assigned, or only those `exposed`: that had an interrupt which the arms answer differently. */
  readonly view: 'all' | 'exposed'
  /** Arm − baseline, in the metric's unit. Absent, with the interval and p, where it cannot be computed: `note` says why. */
  readonly difference?: number
  /** `difference` as a share of the baseline's value. */
  readonly relative?: number
  /**
   * At `level`. Where the finding is `lower` or `higher` it leaves 0 out; where it is `unclear` it holds 0, and is widened to where the
   * permutation test alone finds nothing.
   */
  readonly interval?: readonly [number, number]
  /** What Holm leaves this comparison: 0.95 where it is the only one of its view. */
  readonly level: number
  /** The larger one of two: of the permutation test over the randomised units, and of the intervals, of which one just touches 0. */
  readonly p?: number
  /** After Holm, over all comparisons of the view. */
  readonly pHolm?: number
  /** Two one-sided tests against ±margin at 5 %. */
  readonly equivalence?: { readonly margin: number; readonly p: number; readonly equivalent: boolean }
  /** The difference that this n finds with 80 % power. */
  readonly detectable?: number
  /** Units of each arm that the experiment's minimum effect would need for 80 % power. */
  readonly unitsNeeded?: number
  readonly minimumEffect?: Effect
  /** `refused`: no statement, for the reason in `note`. */
  readonly finding: 'lower' | 'higher' | 'equivalent' | 'unclear' | 'refused'
  readonly note?: string
}

/** A running view of live traffic that may be looked at at any time. */
export interface Sequence {
  readonly metric: MetricName
  readonly arm: string
  readonly baseline: string
  /** Ratio of medians, arm ÷ baseline, and its confidence sequence. */
  readonly ratio?: number
  readonly interval?: readonly [number, number]
  readonly level: number
  readonly sessions: number
  readonly finding: 'lower' | 'higher' | 'unclear' | 'refused'
  readonly note?: string
}

export interface FrontPoint {
  readonly arm: string
  /** Median interrupt → first token, ms. */
  readonly latencyMs?: number
  /** Means a trial. */
  readonly wastedTokens: number
  readonly wastedSlotMs: number
  /** Mean an interrupt. */
  readonly keptTokens?: number
  /** No other arm is at least as good in latency, wasted tokens and wasted slot time, and better in one. */
  readonly onFront: boolean
}

export interface CarryOverEstimate {
  readonly metric: MetricName
  readonly statistic: Statistic
  /** Trials that follow this arm on the same server, less trials that follow others; each less the figure of its own arm. */
  readonly after: string
  readonly difference: number
  /** 95 %, of this estimate alone. */
  readonly interval: readonly [number, number]
  /** After Holm over all estimates. */
  readonly p: number
}

/** Of all estimates the one that is least by chance. */
export interface CarryOver extends CarryOverEstimate {
  /** Its p is above 0.01. Else nothing is said of the arms: each has figures of the other one in its own. */
  readonly ok: boolean
  readonly estimates: readonly CarryOverEstimate[]
}

export interface Checks {
  /** χ² of the sessions by arm against the weights; the gate fails below 0.001. `p` is absent with one arm. */
  readonly sampleRatio: {
    readonly p?: number
    readonly ok: boolean
    readonly expected: Readonly<Record<string, number>>
    readonly observed: Readonly<Record<string, number>>
  }
  /** Randomised units of the smallest arm against the least that a verdict needs. */
  readonly units: { readonly have: number; readonly needed: number; readonly ok: boolean }
  /** Blocks that lack an arm: left out of comparisons. */
  readonly blocks?: { readonly complete: number; readonly incomplete: number }
  /** The arm that does the same as the baseline must not differ. Absent without one. */
  readonly aa?: { readonly arm: string; readonly p?: number; readonly ok: boolean }
  /** What the trials of an arm leave to the next one on the same server. Absent where trials were not made one after the other. */
  readonly carryOver?: CarryOver
  /**
   * Trials of the plan that are recorded more than once: two processes made them at the same time. The first of each counts, `leftOut`
   * others do not. Absent where there is none.
   */
  readonly duplicates?: { readonly leftOut: number; readonly ok: false }
  /** Trials that began later than the design wanted, where the load was open. */
  readonly lag?: { readonly p50Ms: number; readonly p99Ms: number; readonly share: number }
}

export interface Analysis {
  readonly schema: 'caesura.analysis/1'
  readonly experiment: string
  readonly execution?: string
  readonly kind: 'offline' | 'live'
  /** What was planned, and what there is, in few words and figures. */
  readonly design: {
    readonly baseline: string
    readonly unit: 'session' | 'cell'
    readonly blocks?: number
    readonly seed: number
    readonly permutations: number
  }
  readonly arms: readonly ArmSummary[]
  readonly comparisons: readonly Comparison[]
  /** Only of live traffic. */
  readonly sequences?: readonly Sequence[]
  readonly checks: Checks
  readonly front: readonly FrontPoint[]
  /** `none`: no statement, for the `reasons`. `mixed`: better in one metric, worse in another. */
  readonly decision: 'better' | 'worse' | 'mixed' | 'equivalent' | 'unclear' | 'none'
  /** One or two sentences for people. */
  readonly verdict: string
  /** Why there is no verdict, or what it must be read with. */
  readonly reasons: readonly string[]
}
