import type { Catalogue } from '../core/catalogue.ts'
import type { Stage } from '../core/pipeline.ts'
import { isRecord, orList, type Path, type Problem, placeOf, type Source, type Warning } from '../core/problems.ts'
import type { StepKind, TemplatePlace, WrittenAround } from '../core/step.ts'
import { carryProblems } from './document-carry.ts'
import { codeIn, type KnownNames, MOST_CODE, templateProblems } from './template.ts'

const ID = /^[A-Za-z][A-Za-z0-9_-]*$/
/** Names that templates and `then` use for something else. */
const RESERVED = ['input', 'interrupt', 'session', 'vars', 'next', 'again', 'start', 'end']

/** Of all templates of a pipeline together: what is read while a server answers nobody else. */
const MOST_CODE_OF_ALL = 4 * MOST_CODE

/** More stages than that are one error of their own. */
const MOST_CHECKED = 100

/** One stage as it was written; any of its values may have a wrong type. */
interface Written {
  readonly index: number
  readonly stage: Record<string, unknown>
}

/** The arms of an experiment whose policies would cut a document of their stage. */
export function armCarryProblems(catalogue: Catalogue, value: Record<string, unknown>): Problem[] {
  const stages = writtenStages(value)
  const { arms } = Object(value.experiment) as { readonly arms?: unknown }
  return (Array.isArray(arms) ? (arms as unknown[]).slice(0, MOST_CHECKED) : []).flatMap((arm, index) => {
    if (!isRecord(arm)) return []
    const found = arm.stage === undefined ? stages[0] : stages.find(({ stage }) => stage.id === arm.stage)
    return carryProblems(catalogue, found?.stage, arm.policy, ['experiment', 'arms', index, 'policy'])
  })
}

/** The ids of a pipeline as it was written. */
export const writtenIds = (value: unknown): string[] => [...new Set(idsOf(writtenStages(value)))]

const writtenStages = (value: unknown): Written[] => {
  const stages: unknown[] = isRecord(value) && Array.isArray(value.stages) ? value.stages : []
  return stages.slice(0, MOST_CHECKED).flatMap((stage, index) => (isRecord(stage) ? [{ index, stage }] : []))
}

const idsOf = (stages: readonly Written[]): string[] =>
  stages.flatMap(({ stage }) => (typeof stage.id === 'string' && stage.id !== '' ? [stage.id] : []))

/** The ids of those that give JSON: a document, or calls of tools. */
const valuedIn = (stages: readonly Written[]): string[] =>
  idsOf(stages.filter(({ stage }) => stage.format !== undefined || stage.tools !== undefined))

const thenOf = (stage: Record<string, unknown>): unknown => (isRecord(stage.policy) ? stage.policy.then : undefined)

/**
 * What one value's type cannot tell: ids that stand twice or are no ids, `then` to nowhere, prompts without text,
 * templates that do not hold. Works on what was written, so that these are found beside wrong types elsewhere.
 */
export function pipelineProblems(catalogue: Catalogue, value: unknown): Problem[] {
  const { steps } = catalogue
  const stages = writtenStages(value)
  const ids = writtenIds(value)
  const names = { stages: ids, valued: valuedIn(stages) }
  const seen = new Map<string, number>()
  const allowance = { code: MOST_CODE_OF_ALL }
  const around = { hasHistory: isRecord(value) && value.history !== undefined }
  return stages.flatMap(({ index, stage }) => [
    ...idProblems(stage.id, index, seen),
    ...steps
      .flatMap((kind) => kind.templates(stage))
      .flatMap((place) => templateProblemsAt(place, ['stages', index, ...place.path], names, allowance)),
    ...stepProblems(steps, { stage, index }, around),
    ...thenProblems(thenOf(stage), ['stages', index, 'policy', 'then'], ids),
    ...carryProblems(catalogue, stage, stage.policy, ['stages', index, 'policy']),
  ])
}

function idProblems(id: unknown, index: number, seen: Map<string, number>): Problem[] {
  if (typeof id !== 'string' || id.trim() === '') return []
  const problem = (message: string, expected: string): Problem[] => [
    { path: ['stages', index, 'id'], input: id, message, params: { expected } },
  ]
  if (RESERVED.includes(id)) return problem('is a reserved name', `another id than ${orList(RESERVED)}`)
  if (!ID.test(id)) return problem('is not a stage id', 'letters, digits, - and _, beginning with a letter')
  const first = seen.get(id)
  if (first !== undefined) return problem(`is the id of stages[${first}] already`, 'an id that no other stage has')
  seen.set(id, index)
  return []
}

/** What the kinds say whose keys the stage has; where it has none, the first kind. */
function stepProblems(steps: readonly StepKind[], { stage, index }: Written, around: WrittenAround): Problem[] {
  const named = steps.filter(({ name }) => Object.hasOwn(stage, name))
  return (named.length === 0 ? steps.slice(0, 1) : named)
    .flatMap((kind) => kind.problems?.(stage, around) ?? [])
    .map(({ path, message, received, ...params }) => ({
      path: ['stages', index, ...path],
      message,
      ...(received !== undefined && { input: received }),
      params,
    }))
}

function templateProblemsAt(
  { source, emptyHint }: TemplatePlace,
  path: Path,
  names: KnownNames,
  allowance: { code: number },
): Problem[] {
  if (typeof source !== 'string') return []
  if (emptyHint !== undefined && source.trim() === '') {
    const params = { code: 'CAESURA_E_PROMPT_EMPTY', expected: 'a text that is not empty', hint: emptyHint } as const
    return [{ path, input: source, message: 'is empty', params }]
  }
  allowance.code -= codeIn(source)
  if (allowance.code < 0) {
    const expected = `at most ${MOST_CODE_OF_ALL.toLocaleString('en-US')} characters between {{ }} and {% %} in all templates together`
    return [{ path, message: 'is one template too many', params: { code: 'CAESURA_E_TEMPLATE', expected } }]
  }
  return templateProblems(source, names).map(({ message, received, expected, offset, allowed }) => ({
    path,
    input: received,
    message,
    params: { code: 'CAESURA_E_TEMPLATE', expected, offset, ...(allowed && { allowed }) },
  }))
}

/** Whether `then` goes to a stage that exists. */
export function thenProblems(then: unknown, path: Path, ids: readonly string[]): Problem[] {
  if (typeof then !== 'string' || then === '') return []
  const allowed = ['next', 'again', 'start', 'end', ...ids]
  if (allowed.includes(then)) return []
  const params = { expected: orList(allowed), allowed }
  return [{ path, input: then, message: 'names a stage that does not exist', params }]
}

/** A trigger that fires by itself and a way back make a loop: something must end it. */
export function loopProblems(stages: readonly Pick<Stage, 'id' | 'policy'>[]): Problem[] {
  return stages.flatMap(({ policy: { trigger, then, limit } }, index) => {
    const target = then === 'again' ? index : then === 'start' ? 0 : stages.findIndex(({ id }) => id === then)
    const isLoop = target !== -1 && target <= index
    if (!isLoop || limit !== undefined || trigger.name === 'signal' || trigger.name === 'never') return []
    const params = { expected: 'limit: N beside it', hint: 'Write how often the run may go back, such as `limit: 3`.' }
    return { path: ['stages', index, 'policy', 'then'], input: then, message: 'is a loop that nothing can end', params }
  })
}

/** What is allowed but hardly meant. */
export function pipelineWarnings({ steps }: Catalogue, stages: readonly Stage[], source: Source): Warning[] {
  return stages.flatMap(({ step, policy }, index) => {
    const warnings = steps.find(({ name }) => name === step.kind)?.warnings?.(step, policy) ?? []
    return warnings.map(({ key, message, hint }) => ({
      message: `stages[${index}] ${message}.`,
      ...placeOf(source, ['stages', index, key], { key: true }),
      path: `stages[${index}].${key}`,
      hint,
    }))
  })
}
