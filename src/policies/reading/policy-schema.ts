import { z } from 'zod'
import type { Placement } from '../../core/call.ts'
import type { Catalogue } from '../../core/catalogue.ts'
import { countSchema } from '../../core/duration.ts'
import type { Factor, Policy, PolicyInput, TriggerFactor } from '../../core/policy.ts'
import { present } from '../../core/present.ts'
import { isRecord, orList, type Path, type Problem, parseWith } from '../../core/problems.ts'
import { policyDefaults } from './factor.ts'
import { FactorReader } from './factor-reader.ts'
import { policyJsonSchema } from './policy-json-schema.ts'

/** A policy as a file writes it: a preset's name, or factors, or a preset with some factors of its own. */
export type PolicySource = string | (PolicyInput & { readonly preset?: string })

const KEYS = ['preset', 'trigger', 'response', 'carry', 'warm', 'placement', 'then', 'limit']

/** Parses what a file writes into a `Policy` with every default filled in. Its issues are `custom`, with `params`. */
export function policySchema(catalogue: Catalogue): z.ZodType<Policy, PolicySource> {
  return z
    .any()
    .meta(policyJsonSchema(catalogue))
    .transform((value: unknown, context): Policy => {
      const read = readPolicy(catalogue, value)
      if ('value' in read) return read.value
      for (const { path, ...problem } of read.problems) {
        context.issues.push({
          code: 'custom',
          ...problem,
          input: problem.input,
          path: [...path],
          params: { ...problem.params },
        })
      }
      return z.NEVER
    })
}

/** As `policySchema`, without zod around it. Paths are within the policy. */
export function readPolicy(catalogue: Catalogue, value: unknown): { value: Policy } | { problems: Problem[] } {
  const problems: Problem[] = []
  const written = fields(catalogue, value, problems)
  if (written === undefined) return { problems }
  const { preset, then, ...own } = written
  const factors = { ...policyDefaults, ...own }
  const read = new FactorReader(catalogue, problems)
  const trigger = read.trigger(factors.trigger, ['trigger'], 0)
  const response = read.factor(catalogue.responses, 'response', factors.response, ['response'])
  const carry = read.choice(catalogue.carries, 'carry', factors.carry)
  const warm = read.choice(catalogue.warms, 'warm', factors.warm)
  const placement = read.factor(catalogue.placements, 'placement', factors.placement, ['placement'])
  if (then !== undefined) read.then(then)
  const limit = own.limit === undefined ? undefined : readLimit(own.limit, problems)
  if (problems.length > 0 || !trigger || !response || !placement) return { problems }
  const contradictions = contradictionsIn(catalogue, { trigger, response })
  if (contradictions.length > 0) return { problems: contradictions }
  const otherwise = placement.parameter as { readonly otherwise?: 'any' } | undefined
  return {
    value: {
      ...present({ preset }),
      trigger,
      response,
      carry,
      warm,
      placement: placement.name as Placement,
      ...present({ placementOtherwise: otherwise?.otherwise }),
      ...(then !== undefined && { then: then as string }),
      ...present({ limit }),
    },
  }
}

function readLimit(value: unknown, problems: Problem[]): number | undefined {
  const parsed = parseWith(countSchema, value)
  if ('value' in parsed) return parsed.value
  problems.push(...parsed.problems.map((problem) => ({ ...problem, path: ['limit', ...problem.path] })))
  return undefined
}

/** Factors that hold each for itself, but not together. */
function contradictionsIn(
  catalogue: Catalogue,
  { trigger, response }: { trigger: TriggerFactor; response: Factor },
): Problem[] {
  if (trigger.signals === 'heed') return []
  const problem = (path: Path, input: string, message: string, hint: string): Problem[] => [
    { path, input, message, params: { expected: 'a policy that something can interrupt', hint } },
  ]
  if (trigger.name === 'signal') {
    return problem(
      ['trigger', 'signals'],
      'ignore',
      'refuses the only thing that this trigger waits for',
      'Leave `signals` out, or write `never`.',
    )
  }
  const definition = catalogue.responses.find(({ name }) => name === response.name)
  // Where the trigger fires by itself, what such a response does without a second signal is still to be had.
  if (definition?.on?.superseded !== undefined && !firesByItself(trigger)) {
    const hint = 'Leave `signals` out, or take a trigger that fires by itself.'
    return problem(['response'], response.name, 'waits for signals, and they are ignored', hint)
  }
  return []
}

/** Of `any`, one of its members. */
const firesByItself = ({ name, parameter }: Factor): boolean =>
  Array.isArray(parameter) ? parameter.some(firesByItself) : name !== 'signal' && name !== 'never'

type Fields = Partial<Record<'trigger' | 'response' | 'carry' | 'warm' | 'placement' | 'then' | 'limit', unknown>> & {
  preset?: string
}

/** What was written, the preset's factors filled in. */
function fields(catalogue: Catalogue, value: unknown, problems: Problem[]): Fields | undefined {
  if (typeof value === 'string') return preset(catalogue, value, [], problems)
  if (!isRecord(value)) {
    problems.push({
      path: [],
      input: value,
      message: 'is not a policy',
      params: { expected: "a preset's name or a mapping of factors" },
    })
    return undefined
  }
  for (const key of Object.keys(value).filter((key) => !KEYS.includes(key))) {
    const params = { expected: orList(KEYS), allowed: KEYS, key: true }
    problems.push({ path: [key], input: key, message: 'is not a known key', params })
  }
  const own = Object.fromEntries(
    Object.entries(value).filter(([key, written]) => KEYS.includes(key) && written !== undefined),
  )
  return own.preset === undefined ? own : { ...preset(catalogue, own.preset, ['preset'], problems), ...own }
}

function preset(catalogue: Catalogue, name: unknown, path: Path, problems: Problem[]): Fields | undefined {
  const found = catalogue.presets.find((candidate) => candidate.name === name)
  if (found) return { ...found.policy, preset: found.name }
  const allowed = catalogue.presets.map((candidate) => candidate.name)
  const isResponse = catalogue.responses.some((response) => response.name === name)
  problems.push({
    path,
    input: name,
    message: 'is not a known policy',
    params: {
      expected: `${orList(allowed)}, or a mapping of factors`,
      allowed,
      ...(isResponse && { hint: `\`${name}\` is a response: write \`policy: { response: ${name} }\`.` }),
    },
  })
  return undefined
}
