import { z } from 'zod'
import type { Catalogue } from '../core/catalogue.ts'
import { textWithin, wholeWithin } from '../core/number-schema.ts'
import type { Pipeline, Stage } from '../core/pipeline.ts'
import type { Policy } from '../core/policy.ts'
import { isRecord, oneOrMany, type Problem, parseWith, type Reading, type Source, toErrors } from '../core/problems.ts'
import type { StepKind } from '../core/step.ts'
import { policySchema } from '../policies/reading/policy-schema.ts'
import { policyOf } from './document-carry.ts'
import {
  liveExperimentProblems,
  liveExperimentSchema,
  liveLoopProblems,
  toLiveExperiment,
} from './live-experiment-schema.ts'
import { withPictures } from './pictures.ts'
import { armCarryProblems, loopProblems, pipelineProblems, pipelineWarnings, writtenIds } from './pipeline-checks.ts'
import { limitsShape, readLimits, type WrittenLimits } from './stage-limits.ts'

const STAGES = 'a list of 1 to 100 stages'
const DEFAULT_INTERRUPTS = 16

const idSchema = textWithin(100).describe(
  'Letters, digits, - and _, beginning with a letter; other stages and templates name it.',
)

/** A stage that does a step of this kind. */
const stageSchema = (catalogue: Catalogue, { shape, takesTime, jsonSchema = {} }: StepKind) =>
  z
    .strictObject({
      id: idSchema,
      ...shape,
      // `shape` may be any, so that its type says nothing of the limits.
      ...((takesTime ? limitsShape : {}) as typeof limitsShape),
      policy: policySchema(catalogue).prefault({}),
    })
    .meta({ ...jsonSchema })

/** The kind of a stage is told by its keys: the kind with the fewest unknown ones is meant. */
const stagesSchema = (catalogue: Catalogue) =>
  z.union(catalogue.steps.map((kind) => stageSchema(catalogue, kind).transform((stage) => toStage(kind, stage))))

const makeSchema = (catalogue: Catalogue) =>
  z.strictObject({
    name: textWithin(200).describe('What records and traces call it.'),
    stages: z
      .array(stagesSchema(catalogue))
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
const schemas = new WeakMap<Catalogue, ReturnType<typeof makeSchema>>()

/** What a pipeline file holds, before the checks that look at more than one value. One for each catalogue. */
export function pipelineSchema(catalogue: Catalogue): ReturnType<typeof makeSchema> {
  const schema = schemas.get(catalogue) ?? makeSchema(catalogue)
  schemas.set(catalogue, schema)
  return schema
}

/**
 * Checks a pipeline and reports everything at once. Errors: `CAESURA_E_PIPELINE`, `CAESURA_E_TEMPLATE`,
 * `CAESURA_E_PROMPT_EMPTY`, `CAESURA_E_IMAGE`, `CAESURA_E_EXPERIMENT`. Pictures that the pipeline names are read where it is a file of this
 * host (`source`). The pipeline is frozen.
 */
export function readPipeline(catalogue: Catalogue, written: unknown, source: Source = {}): Reading<Pipeline> {
  const { value, problems: ofPictures } = withPictures(written, source)
  const parsed = parseWith(pipelineSchema(catalogue), value)
  const ofValues = 'problems' in parsed ? parsed.problems : []
  const problems = [...ofPictures, ...ofValues, ...pipelineProblems(catalogue, value)]
  if (isRecord(value)) {
    problems.push(...liveExperimentProblems(value.experiment, writtenIds(value)))
    problems.push(...armCarryProblems(catalogue, value))
  }
  if ('value' in parsed && problems.length === 0) {
    const { stages, experiment } = parsed.value
    problems.push(...loopProblems(stages), ...(experiment === undefined ? [] : liveLoopProblems(experiment, stages)))
  }
  if (!('value' in parsed) || problems.length > 0) {
    return { errors: toErrors(problems.map(ofItsPart), 'CAESURA_E_PIPELINE', source), warnings: [] }
  }
  const { name, stages, maxInterrupts, experiment } = parsed.value
  const pipeline: Pipeline = freeze({
    ...{ name, stages, maxInterrupts },
    ...(experiment !== undefined && { experiment: toLiveExperiment(experiment, stages) }),
  })
  return { value: pipeline, errors: [], warnings: pipelineWarnings(catalogue, stages, source) }
}

const ofItsPart = (problem: Problem): Problem =>
  problem.path[0] === 'experiment'
    ? { ...problem, params: { code: 'CAESURA_E_EXPERIMENT', ...problem.params } }
    : problem

/** A frozen pipeline. Throws a `CaesuraError`, or `CaesuraErrors` for several: see `readPipeline`. */
export function definePipelineWith(catalogue: Catalogue, value: unknown, source: Source = {}): Pipeline {
  const { value: pipeline, errors } = readPipeline(catalogue, value, source)
  if (pipeline === undefined) throw oneOrMany(errors)
  return pipeline
}

/** What every kind of stage has when it is parsed. */
type ParsedStage = { readonly id: string; readonly policy: Policy } & WrittenLimits

function toStage(kind: StepKind, parsed: ParsedStage): Stage {
  const read = kind.read(parsed)
  return { id: parsed.id, ...read, ...readLimits(parsed), policy: policyOf(read.asks, parsed.policy) }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const entry of Object.values(value)) freeze(entry)
  }
  return value
}
