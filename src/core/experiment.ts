import type { MetricName, MetricPlan } from './metric.ts'
import type { Compare } from './pairs.ts'
import type { Pipeline } from './pipeline.ts'

export { type Effect, type MetricName, type MetricPlan, metrics, type Statistic, statistics } from './metric.ts'

/** What analysis has to know of an experiment beside its trials. Plain JSON; kept with the records. */
export interface AnalysisPlan {
  readonly experiment: string
  readonly kind: 'offline' | 'live'
  /** In the file's order, an A/A arm last. `policy`: in few words. `weight`: its share of the sessions, relative to the others. */
  readonly arms: readonly PlannedArm[]
  /** The arm that others are compared with. */
  readonly baseline: string
  /** The arm that does the same as the baseline, where there is one. */
  readonly aaArm?: string
  /**
   * What was randomised, and is therefore permuted: `session`, or `cell`, all sessions of one arm in one block, where sessions shared
   * a server at the same time. With blocks, whole blocks are what the bootstrap draws.
   */
  readonly unit: 'session' | 'cell'
  /** The trials were made one after the other, in the order of `trial`: each may feel what the one before it left on its server. */
  readonly sequential?: boolean
  /** The pairs that are compared, by names: the first one less the second one. Absent: every arm with the baseline. */
  readonly pairs?: readonly (readonly [arm: string, baseline: string])[]
  /** Complete blocks: every arm once in each. Absent: sessions were assigned independently of each other. */
  readonly blocks?: number
  readonly metrics: readonly MetricPlan[]
  readonly seed: number
}

export interface PlannedArm {
  readonly name: string
  readonly policy: string
  readonly weight: number
  /** Metrics that have the same value in every trial of the arm, because of what it is: its mean is believed without a spread. */
  readonly constant?: readonly MetricName[]
  /** The factors in which the arms differ, as this arm has them: `response: drain`. Absent where they differ in one or none. */
  readonly factors?: readonly string[]
}

/** One thing that is compared: a checked pipeline whose policies are this arm's. */
export interface Arm {
  readonly name: string
  /** In few words. */
  readonly policy: string
  readonly pipeline: Pipeline
  /** Arms of one group follow each other in each round; the arms without one are a group. */
  readonly group?: string
  /** Its trials in each round; 1 by default. */
  readonly repeat?: number
  /** When its interrupts come; those of the workload by default. Times that are drawn fall into as many equal parts as it has trials. */
  readonly interrupts?: OwnTimes
  /** Gives its prompts `vars.nonce`, a text that no other trial has. */
  readonly nonce?: true
  /** A run that is begun first, and until when a trial waits: until its first token, or its end, and at least so long, ms. */
  readonly before?: { readonly pipeline: Pipeline; readonly until: 'first-token' | 'end'; readonly leastMs?: number }
}

/** When the interrupts of the trials come. Times are ms from the start of the first stage's call. */
export type InterruptTimes =
  | { readonly kind: 'none' }
  /** In turn; one for a fixed time. */
  | { readonly kind: 'list'; readonly atMs: readonly number[] }
  | { readonly kind: 'uniform'; readonly fromMs: number; readonly toMs: number }
  /** Of a Poisson process: exponential with this mean. */
  | { readonly kind: 'poisson'; readonly meanMs: number }
  /** In turn, as shares of the first stage's length without an interrupt, which is measured in the warm-up. */
  | { readonly kind: 'share'; readonly of: readonly number[] }
  /** The times since the call's start of the interrupts that are recorded: of a pipeline, or of an experiment. */
  | { readonly kind: 'recorded'; readonly pipeline?: string; readonly experiment?: string }

/** The interrupt times that one arm may have for itself: they are known beforehand, or come with a token of the first stage. */
export type OwnTimes =
  | Exclude<InterruptTimes, { readonly kind: 'share' | 'recorded' }>
  | { readonly kind: 'tokens'; readonly after: number }

export interface Workload {
  /** One is drawn for each trial. At least one. */
  readonly prompts: readonly string[]
  readonly interrupts: InterruptTimes
  /** The new input that the interrupts bring; they bring none without it. */
  readonly interruptInput?: string
  readonly vars: Readonly<Record<string, string>>
}

export type Load =
  /** Each user begins a trial when the last one has ended and the pause is over, whatever arms they are of. */
  | { readonly kind: 'closed'; readonly users: number; readonly thinkMs: number }
  /** Trials begin as a Poisson process, whatever the server does; what starts late says so (coordinated omission). */
  | { readonly kind: 'open'; readonly perSecond: number }

/** A checked experiment that `ab` runs. Plain JSON, every default filled in. */
export interface Experiment {
  readonly name: string
  /** Without the A/A arm. */
  readonly arms: readonly Arm[]
  readonly baseline: string
  readonly aa: boolean
  /** Absent: every arm with the baseline. */
  readonly compare?: Compare
  readonly workload: Workload
  /** Of each arm. */
  readonly sessions: number
  /** Runs of a session. */
  readonly turns: number
  readonly blocks: number
  readonly seed: number
  /** Trials of each arm before measuring. */
  readonly warmUp: number
  /** The least pause between two arms, ms. Nothing is made between it and the next trial. */
  readonly washoutMs: number
  /** Puts a text of its own before each prompt, so that no prefix of another trial is of use. */
  readonly nonce: boolean
  readonly load: Load
  readonly metrics: readonly MetricPlan[]
  /** Absent: no limit. */
  readonly budget: { readonly timeMs?: number; readonly tokens?: number }
}
