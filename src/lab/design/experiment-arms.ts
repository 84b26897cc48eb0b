import type { Catalogue } from '../../core/catalogue.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { Arm } from '../../core/experiment.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { Factor, Policy } from '../../core/policy.ts'
import { present } from '../../core/present.ts'
import { isRecord, type Path, type Problem, pathText, type Source, type Warning } from '../../core/problems.ts'
import { documentCarryProblems, policyOf } from '../../pipelines/document-carry.ts'
import { loopProblems, thenProblems } from '../../pipelines/pipeline-checks.ts'
import { readPipeline } from '../../pipelines/pipeline-schema.ts'
import { readPolicy } from '../../policies/reading/policy-schema.ts'
import { type ExperimentFiles, fileFault } from './experiment-files.ts'

export interface Arms {
  readonly arms: readonly Arm[]
  /** In the experiment itself. */
  readonly problems: readonly Problem[]
  /** In pipelines, with their own places. */
  readonly errors: readonly CaesuraError[]
  readonly warnings: readonly Warning[]
}

/** The arms of an experiment as it is written; those that hold, and what is wrong with the others. */
export async function readArms(
  catalogue: Catalogue,
  value: unknown,
  source: Source,
  files: ExperimentFiles,
): Promise<Arms> {
  const problems: Problem[] = []
  const errors: CaesuraError[] = []
  const warnings: Warning[] = []
  const arms: Arm[] = []
  const pipelineAt = async (written: unknown, path: Path): Promise<Pipeline | undefined> => {
    const read = await readAt(catalogue, written, path, source, files)
    if ('problem' in read) problems.push(read.problem)
    else {
      errors.push(...read.errors)
      warnings.push(...read.warnings)
    }
    return 'problem' in read ? undefined : read.value
  }
  if (!isRecord(value)) return { arms, problems, errors, warnings }
  const common = value.pipeline === undefined ? undefined : await pipelineAt(value.pipeline, ['pipeline'])
  const written: unknown[] = Array.isArray(value.arms) ? value.arms.slice(0, 20) : []
  for (const [index, arm] of written.entries()) {
    if (!isRecord(arm)) continue
    const path = ['arms', index]
    if (arm.pipeline === undefined && value.pipeline === undefined) {
      const params = {
        expected: 'a pipeline of its own, or one for all arms',
        hint: 'Write `pipeline: FILE` at the top.',
      }
      problems.push({ path, message: 'has no pipeline', params })
      continue
    }
    const base = arm.pipeline === undefined ? common : await pipelineAt(arm.pipeline, [...path, 'pipeline'])
    const policy = arm.policy === undefined ? undefined : policyIn(catalogue, arm.policy)
    if (base === undefined) continue
    const pipeline = policy === undefined ? base : withPolicy(base, policy)
    if (policy !== undefined) problems.push(...policyProblems(pipeline, [...path, 'policy']))
    if (typeof arm.name === 'string') arms.push({ name: arm.name, policy: inFewWords(arm, pipeline), pipeline })
  }
  return { arms, problems, errors, warnings }
}

/** Undefined where it does not hold: the schema tells why. */
function policyIn(catalogue: Catalogue, written: unknown): Policy | undefined {
  const read = readPolicy(catalogue, written)
  return 'value' in read ? read.value : undefined
}

function withPolicy({ stages, ...pipeline }: Pipeline, policy: Policy): Pipeline {
  return {
    ...pipeline,
    stages: stages.map((stage, index) => (index === 0 ? { ...stage, policy: policyOf(stage.asks, policy) } : stage)),
  }
}

/** What of a policy depends on the stages around it. */
function policyProblems({ stages }: Pipeline, path: Path): Problem[] {
  const then = stages[0]?.policy.then
  const ofFirst = loopProblems(stages).filter((problem) => problem.path[1] === 0)
  return [
    ...(stages[0] === undefined ? [] : documentCarryProblems(stages[0], path)),
    ...thenProblems(
      then,
      [...path, 'then'],
      stages.map(({ id }) => id),
    ),
    ...ofFirst.map((problem) => ({ ...problem, path: [...path, 'then'] })),
  ]
}

type ReadPipeline =
  | { readonly value?: Pipeline; readonly errors: readonly CaesuraError[]; readonly warnings: readonly Warning[] }
  | { readonly problem: Problem }

/** A pipeline that an experiment names, or one that it holds. */
async function readAt(
  catalogue: Catalogue,
  written: unknown,
  path: Path,
  source: Source,
  files: ExperimentFiles,
): Promise<ReadPipeline> {
  if (isRecord(written)) return within(readPipeline(catalogue, written, inside(source, path)), path)
  if (typeof written !== 'string' || written.trim() === '')
    return {
      problem: {
        path,
        input: written,
        message: 'is no pipeline',
        params: { expected: 'a file, or a mapping with stages' },
      },
    }
  try {
    const document = await files.document(written)
    return readPipeline(catalogue, document.value, document)
  } catch (error) {
    return fileFault(error, written, path)
  }
}

const inside = ({ file, place }: Source, path: Path): Source => ({
  ...present({ file }),
  ...(place !== undefined && { place: (rest, at) => place([...path, ...rest], at) }),
})

function within<T extends { readonly errors: readonly CaesuraError[] }>(reading: T, path: Path): T {
  const prefix = pathText(path)
  const errors = reading.errors.map(({ code, message, place, cause }) => {
    const inner = place.path ?? ''
    const outer = `${prefix}${inner === '' || inner.startsWith('[') ? '' : '.'}${inner}`
    return new CaesuraError(code, inner === '' ? message : message.replace(inner, outer), {
      ...place,
      path: outer,
      cause,
    })
  })
  return { ...reading, errors }
}

/** As people would say it: the policy's name, or the factors that matter most. */
function inFewWords({ policy: written, pipeline }: Record<string, unknown>, { name, stages }: Pipeline): string {
  const policy = stages[0]?.policy
  const factors = policy === undefined ? '' : [factor(policy.trigger), factor(policy.response), policy.carry].join(', ')
  const words = typeof written === 'string' ? written : factors
  return pipeline === undefined ? words : `${name}: ${words}`
}

const factor = ({ name, parameter }: Factor): string =>
  parameter === undefined
    ? name
    : `${name} ${typeof parameter === 'object' ? JSON.stringify(parameter) : String(parameter)}`
