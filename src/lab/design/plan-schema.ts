import { z } from 'zod'
import type { AnalysisPlan } from '../../core/experiment.ts'
import { metrics } from '../../core/metric.ts'
import { keptMetricPlan } from '../../core/metric-schema.ts'
import { present } from '../../core/present.ts'
import { type Problem, parseWith, type Reading, type Source, toErrors } from '../../core/problems.ts'

const metricNames = Object.keys(metrics) as (keyof typeof metrics)[]
const name = z.string('a text').min(1, '1 or more characters')

const planSchema = z.strictObject({
  schema: z.literal('caesura.plan/1').optional(),
  /** Of which execution the trials are. */
  execution: z.string().optional(),
  experiment: name,
  kind: z.enum(['offline', 'live']),
  arms: z
    .array(
      z.strictObject({
        name,
        policy: z.string().default(''),
        weight: z.number().positive('above 0').default(1),
        constant: z.array(z.enum(metricNames)).optional(),
        factors: z.array(z.string()).optional(),
      }),
    )
    .min(1, '1 or more arms'),
  baseline: name,
  aaArm: name.optional(),
  unit: z.enum(['session', 'cell']),
  blocks: z.int().min(1, '1 or more').optional(),
  pairs: z
    .array(z.tuple([name, name]))
    .min(1, '1 or more pairs')
    .optional(),
  sequential: z.boolean().optional(),
  metrics: z.array(keptMetricPlan).min(1, '1 or more metrics'),
  seed: z.number(),
})

/** A plan as a file has it. */
export interface PlanFile {
  readonly plan: AnalysisPlan
  readonly execution?: string
}

/** The file's form of a plan: what `ab plan` prints. */
export const planDocument = (plan: AnalysisPlan, execution: string | undefined) => ({
  schema: 'caesura.plan/1' as const,
  ...present({ execution }),
  ...plan,
})

/** Checks a plan that a file holds, and reports everything at once: `CAESURA_E_EXPERIMENT`. */
export function readPlan(value: unknown, source: Source): Reading<PlanFile> {
  const parsed = parseWith(planSchema, value)
  if ('problems' in parsed) return { errors: toErrors(parsed.problems, 'CAESURA_E_EXPERIMENT', source), warnings: [] }
  const { schema: _, execution, ...plan } = parsed.value
  const problems = nameProblems(plan)
  if (problems.length > 0) return { errors: toErrors(problems, 'CAESURA_E_EXPERIMENT', source), warnings: [] }
  return {
    value: { plan: withoutUndefined(plan), ...present({ execution }) },
    errors: [],
    warnings: [],
  }
}

type Parsed = Omit<z.output<typeof planSchema>, 'schema' | 'execution'>

function nameProblems({ arms, baseline, aaArm, pairs = [] }: Parsed): Problem[] {
  const names = arms.map((arm) => arm.name)
  const params = { expected: names.join(', '), allowed: names }
  const unknown = (path: readonly PropertyKey[], input: string | undefined): Problem[] =>
    input === undefined || names.includes(input) ? [] : [{ path, input, message: 'names no arm', params }]
  return [
    ...names.flatMap((input, index): Problem[] =>
      names.indexOf(input) === index
        ? []
        : [
            {
              path: ['arms', index, 'name'],
              input,
              message: `is the name of arms[${names.indexOf(input)}] already`,
              params: { expected: 'a name that no other arm has' },
            },
          ],
    ),
    ...unknown(['baseline'], baseline),
    ...unknown(['aaArm'], aaArm),
    ...pairs.flatMap((pair, index) => pair.flatMap((each, side) => unknown(['pairs', index, side], each))),
    ...pairs.flatMap(([arm, other], index): Problem[] =>
      arm === other
        ? [
            {
              path: ['pairs', index],
              input: arm,
              message: 'compares an arm with itself',
              params: { expected: 'two arms' },
            },
          ]
        : [],
    ),
  ]
}

/** What is absent is no key: the type says so. */
const withoutUndefined = (plan: Parsed): AnalysisPlan => JSON.parse(JSON.stringify(plan)) as AnalysisPlan
