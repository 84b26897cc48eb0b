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
  signalToFirstTokenMs: {
    of: 'interrupt',
    unit: 'ms',
    better: 'lower',
    title: 'first signal → first token',
    summary:
      'the same from the first signal of the gesture: a debounce, and the wait for a signal that confirms a hold, count',
  },
  toSilenceMs: {
    of: 'interrupt',
    unit: 'ms',
    better: 'lower',
    title: 'first signal → silence',
    summary:
      'from the first signal of the gesture to the last text of the interrupted stage that was handed to readers',
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
