import type { Pipeline } from './pipeline.ts'

/** What an experiment can compare. The first one of an experiment is its primary metric. */
export const metrics = {
  interruptToFirstTokenMs: {
    of: 'interrupt',
    unit: 'ms',
    better: 'lower',
    title: 'interrupt → first token',
    summary:
      'from the interrupt to the first token of the next stage; one that was never reached counts as longer than all',
  },
  keptTokens: {
    of: 'interrupt',
    unit: 'tokens',
    better: 'higher',
    title: 'useful text kept',
    summary: 'tokens of the interrupted call that were carried on or are part of the answer',
  },
  wastedTokens: {
    of: 'trial',
    unit: 'tokens',
    better: 'lower',
    title: 'wasted tokens',
    summary: 'generated, but neither carried on nor part of an answer that stood',
  },
  wastedSlotMs: {
    of: 'trial',
    unit: 'ms',
    better: 'lower',
    title: 'wasted slot time',
    summary: 'how long slots were held after the last token that was used',
  },
  slotMs: { of: 'trial', unit: 'ms', better: 'lower', title: 'slot time', summary: 'how long slots were held in all' },
  generatedTokens: {
    of: 'trial',
    unit: 'tokens',
    better: 'lower',
    title: 'generated tokens',
    summary: 'of all calls of the run',
  },
  firstTokenMs: {
    of: 'trial',
    unit: 'ms',
    better: 'lower',
    title: 'time to first token',
    summary: 'from the start of the run to the first token of its first answer',
  },
  answerMs: {
    of: 'trial',
    unit: 'ms',
    better: 'lower',
    title: 'start → answer',
    summary:
      'from the start of the run to the first token of the answer that stood; a run without one counts as longer than all',
  },
  arrivalToAnswerMs: {
    of: 'trial',
    unit: 'ms',
    better: 'lower',
    title: 'arrival → answer',
    summary:
      'the same from the instant at which the run should have started: with an open load, waiting for an overloaded server counts',
  },
  runMs: { of: 'trial', unit: 'ms', better: 'lower', title: 'length of the run', summary: 'from its start to its end' },
  failed: {
    of: 'trial',
    unit: 'share',
    better: 'lower',
    title: 'failed runs',
    summary: '1 for a run that failed, 0 for one that did not; only its mean is of use',
  },
} as const satisfies Record<
  string,
  {
    readonly of: 'interrupt' | 'trial'
    readonly unit: 'ms' | 'tokens' | 'share'
    readonly better: 'lower' | 'higher'
    readonly title: string
    readonly summary: string
  }
>
export type MetricName = keyof typeof metrics

export const statistics = ['p50', 'p95', 'p99', 'mean'] as const
export type Statistic = (typeof statistics)[number]

/** A length in the metric's unit, or a share of the baseline's value. */
export type Effect = { readonly absolute: number } | { readonly share: number }

/** What is asked of one metric. */
export interface MetricPlan {
  readonly metric: MetricName
  /** In the order asked; at least one. */
  readonly statistics: readonly Statistic[]
  /** The least difference that would matter: power and the needed n are computed for it. */
  readonly minimumEffect?: Effect
  /** Differences within ± this do not matter: TOST is made for it. */
  readonly margin?: Effect
}

/** What analysis has to know of an experiment beside its trials. Plain JSON; kept with the records. */
export interface AnalysisPlan {
  readonly experiment: string
  readonly kind: 'offline' | 'live'
  /** In the file's order, an A/A arm last. `policy`: in few words. `weight`: its share of the sessions, relative to the others. */
  readonly arms: readonly { readonly name: string; readonly policy: string; readonly weight: number }[]
  /** The arm that others are compared with. */
  readonly baseline: string
  /** The arm that does the same as the baseline, where there is one. */
  readonly aaArm?: string
  /**
   * What was randomised, and is therefore permuted: `session`, or `cell`, all sessions of one arm in one block, where sessions shared
   * a server at the same time. With blocks, whole blocks are what the bootstrap draws.
   */
  readonly unit: 'session' | 'cell'
  /** Complete blocks: every arm once in each. Absent: sessions were assigned independently of each other. */
  readonly blocks?: number
  readonly metrics: readonly MetricPlan[]
  readonly seed: number
}

/** One thing that is compared: a checked pipeline whose policies are this arm's. */
export interface Arm {
  readonly name: string
  /** In few words. */
  readonly policy: string
  readonly pipeline: Pipeline
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

export interface Workload {
  /** One is drawn for each trial. At least one. */
  readonly prompts: readonly string[]
  readonly interrupts: InterruptTimes
  /** The new input that the interrupts bring; they bring none without it. */
  readonly interruptInput?: string
  readonly vars: Readonly<Record<string, string>>
}

export type Load =
  /** Each user begins a trial when the last one has ended and the pause is over. */
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
  readonly workload: Workload
  /** Of each arm. */
  readonly sessions: number
  /** Runs of a session. */
  readonly turns: number
  readonly blocks: number
  readonly seed: number
  /** Trials of each arm before measuring, and after a washout. */
  readonly warmUp: number
  /** Pause between two arms of a block, ms. */
  readonly washoutMs: number
  /** Puts a text of its own before each prompt, so that no prefix of another trial is of use. */
  readonly nonce: boolean
  readonly load: Load
  readonly metrics: readonly MetricPlan[]
  /** Absent: no limit. */
  readonly budget: { readonly timeMs?: number; readonly tokens?: number }
}
