import type { AnalysisPlan } from '../core/experiment.ts'
import type { Trial } from '../core/trial.ts'
import type { Analysis } from './analysis.ts'

/** PLACEHOLDER of this branch: counts only, no comparison. The branch that has the statistics brings the real one. */
export function analyse(plan: AnalysisPlan, trials: Iterable<Trial>): Analysis {
  const arms = new Map(plan.arms.map(({ name, policy }) => [name, { name, policy, trials: 0, sessions: new Set() }]))
  for (const trial of trials) {
    const arm = arms.get(trial.arm)
    if (arm === undefined) continue
    arm.trials += 1
    arm.sessions.add(trial.session)
  }
  return {
    schema: 'caesura.analysis/1',
    experiment: plan.experiment,
    kind: plan.kind,
    design: { baseline: plan.baseline, unit: plan.unit, seed: plan.seed, permutations: 0, resamples: 0 },
    arms: [...arms.values()].map(({ sessions, ...arm }) => ({
      ...arm,
      sessions: sessions.size,
      interrupts: 0,
      warmUps: 0,
      outcomes: { completed: 0, cancelled: 0, failed: 0 },
      settlements: {},
      ends: {},
      metrics: {},
      phases: [],
    })),
    comparisons: [],
    checks: {
      sampleRatio: { ok: true, expected: {}, observed: {} },
      units: { have: 0, needed: 0, ok: false },
    },
    front: [],
    decision: 'none',
    verdict: 'Nothing was compared.',
    reasons: [],
  }
}
