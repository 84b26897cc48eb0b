import { z } from 'zod'
import type { CallTimeouts, GenerationOptions } from './call.ts'
import { countSchema, durationSchema } from './duration.ts'
import {
  liveExperimentProblems,
  liveExperimentSchema,
  liveLoopProblems,
  toLiveExperiment,
} from './live-experiment-schema.ts'
import { numberWithin, textWithin, wholeWithin } from './number-schema.ts'
import type { Pipeline, Retry, Stage } from './pipeline.ts'
import { loopProblems, pipelineProblems, pipelineWarnings, writtenIds } from './pipeline-checks.ts'
import type { PolicyCatalogue } from './policy.ts'
import { policySchema } from './policy-schema.ts'
import { isRecord, oneOrMany, type Problem, parseWith, type Reading, type Source, toErrors } from './problems.ts'

const STAGES = 'a list of 1 to 100 stages'
const DEFAULT_INTERRUPTS = 16

/** A timeout of nothing would fail every call. */
const timeoutSchema = durationSchema.refine((ms) => ms > 0, {
  error: 'is zero',
  params: { expected: 'a duration above 0, such as 10s', hint: 'Leave it out for no limit.' },
})

const LONGEST_PAUSE_MS = 30_000
const FALLBACKS = 'a list of 1 to 8 models or nodes'

const retrySchema = z.strictObject({
  attempts: wholeWithin(1, 10).default(2).describe('Calls before the stage fails or falls back, the first included.'),
  pause: durationSchema
    .refine((ms) => ms <= LONGEST_PAUSE_MS, { error: 'is too long', params: { expected: 'a duration of 0 to 30 s' } })
    .default(200)
    .describe('The longest pause before the second call. The bound doubles with each further one, up to 30 s.'),
  afterFirstToken: z
    .enum(['fail', 'restart'], 'fail or restart')
    .default('fail')
    .describe('Whether a fault after the first token is tried again too. What had come is withdrawn then.'),
})

const optionsSchema = z.strictObject({
  temperature: numberWithin(0, 2).optional().describe('0 is greedy.'),
  maxTokens: countSchema.optional().describe('The most tokens to generate.'),
  seed: wholeWithin(0, 2_147_483_647).optional(),
  topK: wholeWithin(0, 1_000_000).optional(),
  topP: numberWithin(0, 1).optional(),
  stop: z
    .array(z.string('a text').min(1, 'a text that is not empty'))
    .max(16, 'at most 16 texts')
    .optional()
    .describe('Texts that end the answer.'),
  contextTokens: wholeWithin(1, 10_000_000)
    .optional()
    .describe('The size of the context window. On Ollama a change reloads the model.'),
})

const idSchema = textWithin(100).describe(
  'Letters, digits, - and _, beginning with a letter; other stages and templates name it.',
)

const sayStageSchema = (catalogue: PolicyCatalogue) =>
  z.strictObject({
    id: idSchema,
    say: z
      .string('a text')
      .describe('What the stage says, without asking a model; a Liquid template that sees what a prompt sees.'),
    policy: policySchema(catalogue).prefault({}),
  })

const modelStageSchema = (catalogue: PolicyCatalogue) =>
  z.strictObject({
    id: idSchema,
    model: textWithin(500).describe("An alias of the configuration, or a model's name as the server knows it."),
    system: z.string('a text').optional().describe('The system prompt; a Liquid template.'),
    prompt: z
      .string('a text')
      .describe('A Liquid template; it sees input, <stage>.output, interrupt.input, interrupt.at and vars.*.'),
    options: optionsSchema.optional().describe("What steers sampling; what is left out is the server's default."),
    timeout: z
      .strictObject({
        firstToken: timeoutSchema.optional(),
        stall: timeoutSchema.optional(),
        total: timeoutSchema.optional(),
      })
      .optional()
      .describe(
        'Limits of one call: from its start to the first token, between two tokens, to its end. Passing one is a failure.',
      ),
    retry: retrySchema.optional().describe('Without it a call is made once.'),
    fallback: z
      .array(textWithin(500), FALLBACKS)
      .min(1, FALLBACKS)
      .max(8, FALLBACKS)
      .optional()
      .describe('Models, or names of nodes for the same model, tried in this order when all attempts have failed.'),
    policy: policySchema(catalogue).prefault({}),
  })

/** The kind of a stage is told by its keys: the kind with the fewest unknown ones is meant. */
const stageSchema = (catalogue: PolicyCatalogue) => z.union([modelStageSchema(catalogue), sayStageSchema(catalogue)])

const makeSchema = (catalogue: PolicyCatalogue) =>
  z.strictObject({
    name: textWithin(200).describe('What records and traces call it.'),
    stages: z
      .array(stageSchema(catalogue))
      .min(1, STAGES)
      .max(100, STAGES)
      .describe('What is done, in order: calls of models, and fixed texts (`say`).'),
    maxInterrupts: wholeWithin(1, 1000)
      .default(DEFAULT_INTERRUPTS)
      .describe('The most interrupts that a run answers before it ends as failed.'),
    experiment: liveExperimentSchema(catalogue)
      .optional()
      .describe('Compares policies on the traffic of the pipeline.'),
  })

/** To build one takes longer than to check a pipeline by it. */
const schemas = new WeakMap<PolicyCatalogue, ReturnType<typeof makeSchema>>()

/** What a pipeline file holds, before the checks that look at more than one value. One for each catalogue. */
export function pipelineSchema(catalogue: PolicyCatalogue): ReturnType<typeof makeSchema> {
  const schema = schemas.get(catalogue) ?? makeSchema(catalogue)
  schemas.set(catalogue, schema)
  return schema
}

/** A pipeline as a file or a caller writes it. */
export type PipelineInput = z.input<ReturnType<typeof pipelineSchema>>

/**
 * Checks a pipeline and reports everything at once. Errors: `CAESURA_E_PIPELINE`, `CAESURA_E_TEMPLATE`,
 * `CAESURA_E_PROMPT_EMPTY`, `CAESURA_E_EXPERIMENT`. The pipeline is frozen.
 */
export function readPipeline(catalogue: PolicyCatalogue, value: unknown, source: Source = {}): Reading<Pipeline> {
  const parsed = parseWith(pipelineSchema(catalogue), value)
  const problems = [...('problems' in parsed ? parsed.problems : []), ...pipelineProblems(value)]
  if (isRecord(value)) problems.push(...liveExperimentProblems(value.experiment, writtenIds(value)))
  if ('value' in parsed && problems.length === 0) {
    const { stages, experiment } = parsed.value
    problems.push(...loopProblems(stages), ...(experiment === undefined ? [] : liveLoopProblems(experiment, stages)))
  }
  if (!('value' in parsed) || problems.length > 0) {
    return { errors: toErrors(problems.map(ofItsPart), 'CAESURA_E_PIPELINE', source), warnings: [] }
  }
  const { name, maxInterrupts, experiment } = parsed.value
  const stages = parsed.value.stages.map(toStage)
  const pipeline: Pipeline = freeze({
    ...{ name, stages, maxInterrupts },
    ...(experiment !== undefined && { experiment: toLiveExperiment(experiment, stages) }),
  })
  return { value: pipeline, errors: [], warnings: pipelineWarnings(pipeline.stages, source) }
}

const ofItsPart = (problem: Problem): Problem =>
  problem.path[0] === 'experiment'
    ? { ...problem, params: { code: 'CAESURA_E_EXPERIMENT', ...problem.params } }
    : problem

/** A frozen pipeline. Throws a `CaesuraError`, or `CaesuraErrors` for several: see `readPipeline`. */
export function definePipelineWith(catalogue: PolicyCatalogue, value: unknown, source: Source = {}): Pipeline {
  const { value: pipeline, errors } = readPipeline(catalogue, value, source)
  if (pipeline === undefined) throw oneOrMany(errors)
  return pipeline
}

type ParsedStage = z.output<ReturnType<typeof stageSchema>>

/** Without `retry` a call is made once; what it needs is still there for `fallback`. */
const ONCE: Retry = { attempts: 1, pauseMs: 200, afterFirstToken: 'fail' }

function toStage(parsed: ParsedStage): Stage {
  if ('say' in parsed) return { ...parsed, timeouts: {}, retry: ONCE, fallback: [] }
  const { id, model, system, prompt, options, timeout, retry, fallback, policy } = parsed
  const { firstToken: firstTokenMs, stall: stallMs, total: totalMs } = timeout ?? {}
  return {
    id,
    model,
    ...(system !== undefined && { system }),
    prompt,
    options: present<GenerationOptions>(options ?? {}),
    timeouts: present<CallTimeouts>({ firstTokenMs, stallMs, totalMs }),
    retry:
      retry === undefined
        ? ONCE
        : { attempts: retry.attempts, pauseMs: retry.pause, afterFirstToken: retry.afterFirstToken },
    fallback: fallback ?? [],
    policy,
  }
}

/** Without the keys whose value is undefined. */
const present = <T extends object>(value: { [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const entry of Object.values(value)) freeze(entry)
  }
  return value
}
