import { z } from 'zod'
import type { Catalogue } from '../core/catalogue.ts'
import { textWithin, wholeWithin } from '../core/number-schema.ts'
import { busyChoices, type Pipeline, type Stage } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { isRecord, oneOrMany, type Problem, parseWith, type Reading, type Source, toErrors } from '../core/problems.ts'
import type { StepKind } from '../core/step.ts'
import { policySchema } from '../policies/reading/policy-schema.ts'
import { policyOf } from './document-carry.ts'
import { historySchema } from './history-schema.ts'
import {
  liveExperimentProblems,
  liveExperimentSchema,
  liveLoopProblems,
  toLiveExperiment,
} from './live-experiment-schema.ts'
import { withPictures } from './pictures.ts'
import { armCarryProblems, loopProblems, pipelineProblems, pipelineWarnings, writtenIds } from './pipeline-checks.ts'
import { readSpeaking, speakingShape, type WrittenSpeaking } from './speaking.ts'
import { limitsShape, readLimits, type WrittenLimits } from './stage-limits.ts'

const STAGES = 'a list of 1 to 100 stages'
const DEFAULT_INTERRUPTS = 16

const idSchema = textWithin(100).describe(
  'Letters, digits, - and _, beginning with a letter; other stages and templates name it.',
)

const offSchema = z.literal('off', 'off, or nothing').optional()

/** A stage that does a step of this kind. */
const stageSchema = (catalogue: Catalogue, { shape, takesTime, jsonSchema = {} }: StepKind) =>
  z
    .strictObject({
      id: idSchema,
      ...shape,
      // `shape` may be any, so that its type says nothing of the limits.
      ...((takesTime ? limitsShape : {}) as typeof limitsShape),
      ...speakingShape,
      deliver: offSchema.describe('`off`: nobody reads what the stage says.'),
      remember: offSchema.describe('`off`: what the stage says is read, and no history has it.'),
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
    ...speakingShape,
    history: historySchema
      .optional()
      .describe('The turns of the session that prompts are shown, in `messages` at `history` or before `prompt`.'),
    busy: z
      .enum(busyChoices, 'interrupt, queue or reject')
      .optional()
      .describe(
        'What becomes of a new input of a session while a run of it is live: `interrupt`, the default, is a signal to it.',
      ),
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
  const stages = 'value' in parsed ? parsed.value.stages.map((stage) => inPipeline(stage, parsed.value)) : []
  if ('value' in parsed && problems.length === 0) {
    const { experiment } = parsed.value
    problems.push(...loopProblems(stages), ...(experiment === undefined ? [] : liveLoopProblems(experiment, stages)))
  }
  if (!('value' in parsed) || problems.length > 0) {
    return { errors: toErrors(problems.map(ofItsPart), 'CAESURA_E_PIPELINE', source), warnings: [] }
  }
  const { name, maxInterrupts, history, busy, experiment } = parsed.value
  const pipeline: Pipeline = freeze({
    ...{ name, stages, maxInterrupts },
    ...present({ history, busy }),
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
type ParsedStage = Pick<Stage, 'id' | 'policy'> & {
  readonly deliver?: 'off' | undefined
  readonly remember?: 'off' | undefined
} & WrittenLimits &
  WrittenSpeaking

/** A stage, with what it says of speaking as it was written: its pipeline says the rest. */
type StageAlone = Omit<Stage, 'speaking'> & { readonly speaking: WrittenSpeaking }

function toStage(kind: StepKind, parsed: ParsedStage): StageAlone {
  const read = kind.read(parsed)
  return {
    id: parsed.id,
    ...read,
    ...readLimits(parsed),
    speaking: parsed,
    ...present({ deliver: parsed.deliver, remember: parsed.remember }),
    policy: policyOf(read.asks, parsed.policy),
  }
}

const inPipeline = ({ speaking, ...stage }: StageAlone, ofPipeline: WrittenSpeaking): Stage => ({
  ...stage,
  // What nobody reads takes no time to read.
  ...present({ speaking: stage.deliver === 'off' ? undefined : readSpeaking(speaking, ofPipeline) }),
})

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const entry of Object.values(value)) freeze(entry)
  }
  return value
}
