import { z } from 'zod'
import type { Catalogue } from '../../core/catalogue.ts'
import { durationSchema } from '../../core/duration.ts'
import type { CaesuraError } from '../../core/errors.ts'
import type { Experiment } from '../../core/experiment.ts'
import { marginSchema, metricPlan, metricsSchema, minimumEffectSchema } from '../../core/metric-schema.ts'
import { textWithin, wholeWithin } from '../../core/number-schema.ts'
import { present } from '../../core/present.ts'
import { parseWith, type Reading, type Source, toErrors } from '../../core/problems.ts'
import { policySchema } from '../../policies/reading/policy-schema.ts'
import { type Arms, readArms } from './experiment-arms.ts'
import { experimentProblems, experimentWarnings, writtenProblems } from './experiment-checks.ts'
import type { ExperimentFiles } from './experiment-files.ts'
import {
  budgetSchema,
  interruptsSchema,
  interruptTimes,
  loadOf,
  loadSchema,
  promptsSchema,
} from './experiment-parts.ts'
import { readPrompts } from './experiment-prompts.ts'

const ARMS = 'a list of 1 to 20 arms'
/** Enough for a verdict, and with the bundled model over in a minute or two. */
const DEFAULT_SESSIONS = 40
const DEFAULT_WARM_UP = 2

/** Checked by `readPipeline`, which finds more. `app/json-schemas.ts` adds the definition. */
const anyPipeline = z.any().meta({
  description: 'A pipeline file, from the folder of the experiment; or a pipeline as it would stand there.',
  anyOf: [{ type: 'string' }, { $ref: '#/$defs/pipeline' }],
})

const makeSchema = (catalogue: Catalogue) =>
  z.strictObject({
    name: textWithin(200).describe('What records call it.'),
    pipeline: anyPipeline.optional(),
    arms: z
      .array(
        z.strictObject({
          name: textWithin(100),
          policy: policySchema(catalogue).optional().describe('Takes the place of the first boundary’s policy.'),
          pipeline: anyPipeline.optional(),
        }),
        ARMS,
      )
      .min(1, ARMS)
      .max(20, ARMS)
      .describe('What is compared: policies of the first boundary, or whole pipelines.'),
    baseline: textWithin(200).optional().describe('The arm that others are compared with; the first one by default.'),
    aa: z.boolean().default(false).describe('Adds an arm that does the same as the baseline: it must not differ.'),
    compare: z
      .union([
        z.enum(['baseline', 'all']),
        z
          .array(z.tuple([z.string('a text'), z.string('a text')], 'two arms'), 'a list of pairs')
          .min(1, '1 or more pairs'),
      ])
      .default('baseline')
      .describe('Which arms are compared: each with the baseline, all with each other, or pairs: [[a, b]].'),
    workload: z.strictObject({
      prompts: promptsSchema,
      interrupts: interruptsSchema,
      input: z.string('a text').optional().describe('The new input that interrupts bring.'),
      vars: z.record(z.string(), z.string('a text')).default({}).describe('For {{ vars.key }} in prompts.'),
    }),
    sessions: wholeWithin(1, 1_000_000).default(DEFAULT_SESSIONS).describe('Of each arm.'),
    turns: wholeWithin(1, 1000).default(1).describe('Runs of a session.'),
    blocks: wholeWithin(1, 1_000_000)
      .optional()
      .describe('Each holds every arm equally often, in an order by chance; as many as sessions by default.'),
    seed: wholeWithin(0, 2_147_483_647).default(1).describe('What chance decides is the same for the same seed.'),
    warmUp: wholeWithin(0, 1000)
      .default(DEFAULT_WARM_UP)
      .describe('Trials of each arm that are thrown away, before measuring.'),
    washout: durationSchema
      .default(0)
      .describe('The least pause before another arm begins; nothing is made in it, or between it and the next trial.'),
    nonce: z
      .boolean()
      .default(false)
      .describe('Begins each prompt with a text of its own, so that no prefix cache helps.'),
    load: loadSchema,
    metrics: metricsSchema,
    minimumEffect: minimumEffectSchema,
    margin: marginSchema,
    budget: budgetSchema,
  })

/** To build one takes longer than to check an experiment by it. */
const schemas = new WeakMap<Catalogue, ReturnType<typeof makeSchema>>()

/** What an experiment file holds, before the checks that look at more than one value. One for each catalogue. */
export function experimentFileSchema(catalogue: Catalogue): ReturnType<typeof makeSchema> {
  const schema = schemas.get(catalogue) ?? makeSchema(catalogue)
  schemas.set(catalogue, schema)
  return schema
}

export type WrittenExperiment = z.output<ReturnType<typeof experimentFileSchema>>

/**
 * Checks an experiment and the files that it names, and reports everything at once. Errors: `CAESURA_E_EXPERIMENT`; what is wrong in a
 * pipeline has the codes of `readPipeline`.
 */
export async function readExperiment(
  catalogue: Catalogue,
  value: unknown,
  source: Source,
  files: ExperimentFiles,
): Promise<Reading<Experiment>> {
  const parsed = parseWith(experimentFileSchema(catalogue), value)
  const written = 'value' in parsed ? parsed.value : undefined
  const problems = [...('problems' in parsed ? parsed.problems : []), ...writtenProblems(value)]
  const arms = await readArms(catalogue, value, source, files)
  const prompts = await readPrompts(value, files)
  problems.push(...arms.problems, ...('problems' in prompts ? prompts.problems : []))
  const experiment =
    written !== undefined && problems.length === 0 && arms.errors.length === 0 && 'prompts' in prompts
      ? experimentOf(written, arms, prompts.prompts)
      : undefined
  if (experiment !== undefined) problems.push(...experimentProblems(experiment))
  const errors = inOrder([...toErrors(problems, 'CAESURA_E_EXPERIMENT', source), ...arms.errors], source)
  return errors.length > 0 || experiment === undefined
    ? { errors, warnings: [] }
    : { value: experiment, errors, warnings: [...arms.warnings, ...experimentWarnings(experiment, source)] }
}

/** Those of a pipeline that stands in the experiment among its other ones; those of other files after them. */
function inOrder(errors: readonly CaesuraError[], { file }: Source): CaesuraError[] {
  const place = ({ place: { line = 0, column = 0, ...at } }: CaesuraError) =>
    [at.file === file ? 0 : 1, line, column] as const
  return errors.toSorted((a, b) => {
    const [x, y] = [place(a), place(b)]
    return x[0] - y[0] || (x[0] === 0 ? x[1] - y[1] || x[2] - y[2] : 0)
  })
}

function experimentOf(written: WrittenExperiment, { arms }: Arms, prompts: readonly string[]): Experiment {
  const { name, baseline, aa, compare, workload, sessions, turns, blocks, seed, warmUp, washout, nonce, load, budget } =
    written
  return {
    name,
    arms,
    baseline: baseline ?? arms[0]?.name ?? '',
    aa,
    ...(compare !== 'baseline' && { compare }),
    workload: {
      prompts,
      interrupts: interruptTimes(workload.interrupts),
      ...present({ interruptInput: workload.input }),
      vars: workload.vars,
    },
    sessions,
    turns,
    blocks: blocks ?? sessions,
    seed,
    warmUp,
    washoutMs: washout,
    nonce,
    load: loadOf(load),
    metrics: written.metrics.map((metric) => metricPlan(metric, written)),
    budget: present({ timeMs: budget.time, tokens: budget.tokens }),
  }
}
