import { hash } from 'node:crypto'
import { z } from 'zod'
import { type AnalysisPlan, type MetricName, metrics } from '../../core/experiment.ts'
import type { LiveExperiment } from '../../core/live-experiment.ts'
import { keptMetricPlan } from '../../core/metric-schema.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { ExperimentStore, RunStore } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import type { RunRecord } from '../../core/record.ts'
import type { Execution } from '../../core/trial.ts'
import { factorsOfPolicies, toldFactors } from './arm-factors.ts'
import { constantMetrics } from './constant-metrics.ts'

// An experiment on live traffic has no execution: its design is kept under the empty one.

const liveArmSchema = z
  .strictObject({
    ...{ name: z.string(), policy: z.string(), weight: z.number() },
    constant: z.array(z.enum(Object.keys(metrics) as MetricName[])).optional(),
    factors: z.array(z.string()).optional(),
  })
  .transform(({ constant, factors, ...arm }) => ({
    ...arm,
    ...present({ constant, factors }),
  }))

const liveDesignSchema = z.strictObject({
  kind: z.literal('live'),
  pipeline: z.string(),
  arms: z.array(liveArmSchema).min(1),
  metrics: z.array(keptMetricPlan),
  coverage: z.number(),
  /** When arms, weights or seed became others than before: from then on sessions may have changed arms. */
  changedAt: z.iso.datetime().optional(),
})
/** What is kept of an experiment on live traffic beside its runs. */
export type LiveDesign = z.output<typeof liveDesignSchema>

/** The design of a kept experiment; undefined where it is none on live traffic. */
export function liveDesignOf({ execution, design }: Execution): LiveDesign | undefined {
  return execution === '' ? liveDesignSchema.safeParse(design).data : undefined
}

const SEED_DIGITS = 8

/** What analysis has to know of an experiment on live traffic; undefined for a kept experiment that is none. */
export function planOfLive(execution: Execution): AnalysisPlan | undefined {
  const design = liveDesignOf(execution)
  if (design === undefined) return undefined
  const { experiment } = execution
  return {
    experiment,
    kind: 'live',
    arms: design.arms,
    baseline: design.arms[0]!.name,
    unit: 'session',
    metrics: design.metrics,
    // The same at each look.
    seed: Number.parseInt(hash('sha256', experiment).slice(0, SEED_DIGITS), 16),
  }
}

/** What assignment depends on, so that sessions keep their arms while it stays. */
const digestOf = ({ name, seed, arms }: LiveExperiment): string =>
  hash('sha256', JSON.stringify([name, seed, arms.map((arm) => [arm.name, arm.weight, arm.policies])]))

/**
 * Writes runs into a store, and beside the first one of an experiment that this process sees, and of each change of it, what the
 * experiment is: the file alone is then enough for its analysis. `store` need not keep experiments. `isShared`: another process may
 * have written the same run, as with a fleet. Throws what the store throws.
 */
export function recordKeeper(
  store: RunStore & Partial<ExperimentStore>,
  { isShared = false } = {},
): (record: RunRecord, pipeline: Pipeline) => void {
  const known = new Set<string>()
  return (record, { name, stages, experiment }) => {
    try {
      store.write(record)
    } catch (error) {
      if (!isShared || !holds(store, record.runId)) throw error
    }
    if (experiment === undefined || record.experiment?.name !== experiment.name) return
    if (record.experiment.execution !== undefined) return
    const digest = digestOf(experiment)
    const key = JSON.stringify([digest, name, experiment.coverage, experiment.metrics])
    if (known.has(key)) return
    const earlier = store.readExecution?.(experiment.name, '')
    store.writeExecution?.(executionOf(experiment, { digest, pipeline: name, stages, at: record.startedAt, earlier }))
    known.add(key)
  }
}

function holds(store: RunStore, runId: string): boolean {
  try {
    return store.read(runId).runId === runId
  } catch {
    return false
  }
}

function executionOf(
  { name, arms, metrics, coverage }: LiveExperiment,
  run: { digest: string; pipeline: string; stages: Pipeline['stages']; at: string; earlier: Execution | undefined },
): Execution {
  const { digest, pipeline, stages, at, earlier } = run
  const changedAt =
    earlier === undefined ? undefined : earlier.digest === digest ? liveDesignOf(earlier)?.changedAt : at
  const design: LiveDesign = {
    kind: 'live',
    pipeline,
    arms: plannedArms(arms, stages),
    metrics: [...metrics],
    coverage,
    ...present({ changedAt }),
  }
  return { experiment: name, execution: '', digest, design, startedAt: earlier?.startedAt ?? at }
}

function plannedArms(arms: LiveExperiment['arms'], stages: Pipeline['stages']): LiveDesign['arms'] {
  const factors = toldFactors(
    arms.map(({ policies }) => factorsOfPolicies(policies, stages[0]?.id)),
    arms.slice(1).map((_, index) => [index + 1, 0] as const),
  )
  return arms.map(({ name, policy, weight, policies }, index) => {
    const constant = constantMetrics(stages.map(({ id, policy: own }) => policies[id] ?? own))
    const told = factors[index]
    return {
      ...{ name, policy, weight },
      ...(constant.length > 0 && { constant: [...constant] }),
      ...(told !== undefined && { factors: [...told] }),
    }
  })
}
