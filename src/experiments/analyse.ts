import { type AnalysisPlan, type MetricName, metrics } from '../core/experiment.ts'
import type { Trial } from '../core/trial.ts'
import type { Analysis } from './analysis.ts'

/** Counts only. */
export function analyse(plan: AnalysisPlan, trials: Iterable<Trial>, options: { execution?: string } = {}): Analysis {
  const all = [...trials]
  const arms = plan.arms.map(({ name, policy }) => {
    const own = all.filter(({ arm, warmUp }) => arm === name && !warmUp)
    const tally = (keys: readonly string[]) =>
      Object.fromEntries([...new Set(keys)].map((key) => [key, keys.filter((each) => each === key).length]))
    return {
      name,
      policy,
      sessions: new Set(own.map(({ session }) => session)).size,
      trials: own.length,
      interrupts: own.flatMap(({ interrupts }) => interrupts).length,
      warmUps: all.filter(({ arm, warmUp }) => arm === name && warmUp).length,
      outcomes: { completed: 0, cancelled: 0, failed: 0, ...tally(own.map(({ outcome }) => outcome)) },
      settlements: tally(own.flatMap(({ interrupts }) => interrupts.map(({ settlement }) => settlement))),
      ends: tally(own.flatMap(({ interrupts }) => interrupts.map(({ end }) => end))),
      metrics: Object.fromEntries(
        plan.metrics.map(({ metric }) => [metric, { n: own.length, censored: 0 }]),
      ) as Partial<Record<MetricName, { n: number; censored: number }>>,
      phases: [],
    }
  })
  return {
    schema: 'caesura.analysis/1',
    experiment: plan.experiment,
    ...options,
    kind: plan.kind,
    design: {
      baseline: plan.baseline,
      unit: plan.unit,
      ...(plan.blocks !== undefined && { blocks: plan.blocks }),
      seed: plan.seed,
      permutations: 0,
      resamples: 0,
    },
    arms,
    comparisons: [],
    checks: { sampleRatio: { ok: true, expected: {}, observed: {} }, units: { have: 0, needed: 20, ok: false } },
    front: [],
    decision: 'none',
    verdict: `No statistics are here yet, of ${Object.keys(metrics).length} metrics.`,
    reasons: [],
  }
}
