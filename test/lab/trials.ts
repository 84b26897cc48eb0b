import type { AnalysisPlan, MetricPlan } from '../../src/core/experiment.ts'
import type { Trial, TrialInterrupt } from '../../src/core/trial.ts'

export const latency: MetricPlan = { metric: 'interruptToFirstTokenMs', statistics: ['p50', 'mean'] }

export const planOf = (more: Partial<AnalysisPlan> = {}): AnalysisPlan => ({
  experiment: 'cut-in',
  kind: 'offline',
  arms: [
    { name: 'drain', policy: 'signal/drain', weight: 1 },
    { name: 'abort', policy: 'signal/abort', weight: 1 },
  ],
  baseline: 'drain',
  unit: 'session',
  metrics: [latency],
  seed: 1,
  ...more,
})

/** An interrupt that reached its first token after so long; `'lost'` for one that never did. */
export const interruptOf = (after: number | 'lost', more: Partial<TrialInterrupt> = {}): TrialInterrupt => ({
  atMs: 100,
  sinceCallMs: 100,
  decision: 'abort',
  settlement: 'aborted',
  ...(after === 'lost' ? { end: 'lost', lostAfterMs: 900 } : { end: 'reached', toFirstTokenMs: after }),
  keptTokens: 3,
  phases: after === 'lost' ? {} : { settle: after / 4, prefill: (after * 3) / 4 },
  ...more,
})

let made = 0

/** A completed trial with these interrupts. */
export function trialOf(
  arm: string,
  session: string,
  after: readonly (number | 'lost')[],
  more: Partial<Trial> = {},
): Trial {
  made += 1
  return {
    runId: `run-${made}`,
    arm,
    session,
    startedUnixMs: 1_000 * made,
    outcome: 'completed',
    runMs: 1_000,
    firstTokenMs: 50,
    answerMs: 400,
    generatedTokens: 40,
    wastedTokens: 4,
    slotMs: 900,
    wastedSlotMs: 80,
    interrupts: after.map((each) => interruptOf(each)),
    ...more,
  }
}

/** Sessions of two arms, one trial each, whose interrupts take what `after` says. */
export const sessionsOf = (
  count: number,
  after: (arm: 'drain' | 'abort', session: number) => readonly (number | 'lost')[],
) =>
  (['drain', 'abort'] as const).flatMap((arm) =>
    Array.from({ length: count }, (_, session) => trialOf(arm, `${arm}-${session}`, after(arm, session))),
  )

/** Spread a little, the same in every run of the test. */
export const noise = (index: number, width = 10): number => width * Math.sin(index * 12.9898)
