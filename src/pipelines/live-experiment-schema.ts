import { z } from 'zod'
import type { Catalogue } from '../core/catalogue.ts'
import { exposingBoundaries, type LiveArm, type LiveExperiment } from '../core/live-experiment.ts'
import { metricPlan, metricsSchema, PERCENT_PATTERN, percentOf } from '../core/metric-schema.ts'
import { numberWithin, textWithin } from '../core/number-schema.ts'
import type { Stage } from '../core/pipeline.ts'
import { policyName } from '../core/policy.ts'
import { present } from '../core/present.ts'
import { isRecord, orList, type Problem } from '../core/problems.ts'
import { policySchema } from '../policies/reading/policy-schema.ts'
import { policyOf } from './document-carry.ts'
import { loopProblems, thenProblems } from './pipeline-checks.ts'

const ARMS = 'a list of 2 to 20 arms'
const MOST_ARMS = 20
const MOST_EXCLUDED = 10_000
const LONGEST_NAME = 200
const RANGE = 'two numbers from 0 to 1, the smaller one first, such as [0, 0.5]'
const SHARE = 'a share from 0 to 1, or a text such as 20 %'
const shareSchema: z.ZodType<number, number | string> = z
  .any()
  .meta({
    anyOf: [
      { type: 'number', minimum: 0, maximum: 1 },
      { type: 'string', pattern: PERCENT_PATTERN },
    ],
  })
  .transform((value: unknown, context): number => {
    const part = typeof value === 'number' ? value : percentOf(value)
    if (part !== undefined && part >= 0 && part <= 1) return part
    context.issues.push({ code: 'custom', input: value, message: 'is no share', params: { expected: SHARE } })
    return z.NEVER
  })

const armSchema = (catalogue: Catalogue) =>
  z.strictObject({
    name: textWithin(LONGEST_NAME),
    weight: z
      .number('a number above 0')
      .gt(0, 'a number above 0')
      .max(1_000_000, 'at most 1,000,000')
      .default(1)
      .describe('Its share of the sessions that take part, relative to the other arms.'),
    stage: textWithin(100).optional().describe('Whose boundary `policy` is of; the first stage by default.'),
    policy: policySchema(catalogue).optional().describe("Without it: the stage's own policy."),
  })

/** What `experiment:` of a pipeline file holds, before the checks that look at more than one value. */
export const liveExperimentSchema = (catalogue: Catalogue) =>
  z.strictObject({
    name: textWithin(LONGEST_NAME).describe('What records and traces call it; a new one for each experiment.'),
    arms: z
      .array(armSchema(catalogue), ARMS)
      .min(2, ARMS)
      .max(MOST_ARMS, ARMS)
      .describe('What is compared; the first one is the baseline.'),
    coverage: shareSchema
      .default(1)
      .describe(`The share of sessions that take part: ${SHARE}. May be raised at any time.`),
    enabled: z.boolean('true or false').default(true).describe('False: every run is made as the stages say.'),
    seed: textWithin(LONGEST_NAME).optional().describe('What sessions are hashed with; the name by default.'),
    exclude: z
      .strictObject({
        sessions: z.array(z.string('a text')).max(MOST_EXCLUDED, 'at most 10,000 sessions').default([]),
        vars: z
          .record(
            z.string(),
            z.union([z.string().transform((value) => [value]), z.array(z.string('a text')).max(1000, 'at most 1000')]),
          )
          .default({})
          .describe('Runs with this value, or one of these values, of a variable.'),
      })
      .prefault({})
      .describe('Who never takes part.'),
    namespace: z
      .strictObject({
        name: textWithin(LONGEST_NAME),
        range: z
          .tuple([numberWithin(0, 1), numberWithin(0, 1)], RANGE)
          .refine(([from, to]) => from < to, { error: 'is empty', params: { expected: RANGE } }),
      })
      .optional()
      .describe('Experiments of one namespace whose ranges do not overlap never share a session.'),
    metrics: metricsSchema,
  })
type Parsed = z.output<ReturnType<typeof liveExperimentSchema>>

const writtenArms = (experiment: unknown): [number, Record<string, unknown>][] => {
  const arms: unknown[] = isRecord(experiment) && Array.isArray(experiment.arms) ? experiment.arms : []
  return arms.slice(0, MOST_ARMS).flatMap((arm, index) => (isRecord(arm) ? [[index, arm]] : []))
}

/** What one value's type cannot tell of an experiment as it was written, given the ids of the stages. */
export function liveExperimentProblems(experiment: unknown, ids: readonly string[]): Problem[] {
  const seen = new Map<unknown, number>()
  return writtenArms(experiment).flatMap(([index, { name, stage, policy }]): Problem[] => {
    const path = ['experiment', 'arms', index]
    const problems: Problem[] = []
    const first = seen.get(name)
    if (typeof name === 'string' && first !== undefined) {
      const params = { expected: 'a name that no other arm has' }
      problems.push({ path: [...path, 'name'], input: name, message: `is the name of arms[${first}] already`, params })
    } else seen.set(name, index)
    if (typeof stage === 'string' && stage.trim() !== '' && !ids.includes(stage)) {
      const params = { expected: orList(ids), allowed: ids }
      problems.push({ path: [...path, 'stage'], input: stage, message: 'names a stage that does not exist', params })
    }
    if (isRecord(policy)) problems.push(...thenProblems(policy.then, [...path, 'policy', 'then'], ids))
    return problems
  })
}

/** Loops that nothing can end, in a pipeline whose policies are those of an arm. */
export function liveLoopProblems({ arms }: Parsed, stages: readonly Pick<Stage, 'id' | 'policy'>[]): Problem[] {
  return arms.flatMap(({ policy, stage = stages[0]!.id }, index) => {
    if (policy === undefined) return []
    const ofArm = stages.map((each) => (each.id === stage ? { ...each, policy } : each))
    const at = stages.findIndex(({ id }) => id === stage)
    return loopProblems(ofArm)
      .filter(({ path }) => path[1] === at)
      .map((problem) => ({ ...problem, path: ['experiment', 'arms', index, 'policy', 'then'] }))
  })
}

/** An experiment that holds, of a pipeline with these stages. */
export function toLiveExperiment(parsed: Parsed, stages: readonly Stage[]): LiveExperiment {
  const first = stages[0]!.id
  const touched = stages.filter(({ id }) => parsed.arms.some(({ policy, stage = first }) => policy && stage === id))
  const arms = parsed.arms.map(({ name, weight, policy, stage = first }): LiveArm => {
    // Written out for those that keep the stage's own policy too: what an arm is then does not change with the stage unseen.
    const policies = Object.fromEntries(
      touched.map(({ id, asks, policy: own }) => [id, id === stage && policy ? policyOf(asks, policy) : own]),
    )
    const shown = policies[stage] ?? stages.find(({ id }) => id === stage)!.policy
    return { name, policy: policyName(shown), weight, policies }
  })
  const { name, seed = name, enabled, coverage, exclude, namespace, metrics: asked } = parsed
  return {
    ...{ name, seed, enabled, coverage, arms },
    boundaries: exposingBoundaries(arms),
    exclude,
    ...present({ namespace }),
    metrics: asked.map((written) => metricPlan(written)),
  }
}
