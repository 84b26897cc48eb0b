import { z } from 'zod'
import { isRecord } from '../../core/problems.ts'

/** What an arm is made of, by factor. The value is in few words. */
export type ArmFactors = ReadonlyMap<string, string>

/** A text that is longer is told apart by its beginning. */
const LONGEST = 40
/** Of a policy: what belongs together is one factor. */
const policyFactors = {
  trigger: ['trigger'],
  response: ['response'],
  carry: ['carry'],
  warm: ['warm'],
  placement: ['placement', 'placementOtherwise'],
  then: ['then', 'limit'],
} as const

/** The factors of policies by the id of their stage, the first stage's by their plain names. */
export function factorsOfPolicies(policies: Readonly<Record<string, unknown>>, first: string | undefined): ArmFactors {
  const factors = new Map<string, string>()
  for (const [stage, policy] of Object.entries(policies)) {
    if (!isRecord(policy)) continue
    for (const [factor, parts] of Object.entries(policyFactors)) {
      const values = parts.flatMap((part) => (policy[part] === undefined ? [] : [inWords(policy[part])]))
      factors.set(stage === first ? factor : `${factor} of ${stage}`, values.join(', ') || 'by default')
    }
  }
  return factors
}

const named = z.object({ name: z.string() })
const policySchema = z.object({ trigger: named, response: named, carry: z.string() })

/** What is needed to tell what a kept pipeline's boundaries do. Empty where it is no pipeline. */
export function policiesIn(pipeline: unknown): readonly z.output<typeof policySchema>[] {
  return (
    z
      .object({ stages: z.array(z.object({ policy: policySchema })) })
      .safeParse(pipeline)
      .data?.stages.map(({ policy }) => policy) ?? []
  )
}

/** Those of a kept pipeline: of its policies, and of what else its stages say. Empty where it is none. */
export function factorsOfPipeline(pipeline: unknown): ArmFactors {
  if (!isRecord(pipeline) || !Array.isArray(pipeline.stages)) return new Map()
  const stages: Record<string, unknown>[] = pipeline.stages.filter(isRecord)
  const idOf = (stage: Record<string, unknown>) => String(stage.id)
  const policies = Object.fromEntries(stages.map((stage) => [idOf(stage), stage.policy]))
  const { stages: _, name: __, experiment: ___, ...whole } = pipeline
  return new Map([
    ...factorsOfPolicies(policies, stages[0] && idOf(stages[0])),
    ...stages.flatMap((stage) => {
      const { id, policy, ...rest } = stage
      return Object.entries(rest).map(([key, value]) => [`${key} of ${String(id)}`, inWords(value)] as const)
    }),
    ...Object.entries(whole).map(([key, value]) => [key, inWords(value)] as const),
  ])
}

/** The factors in which two arms differ. */
export const differing = (a: ArmFactors, b: ArmFactors): string[] =>
  [...new Set([...a.keys(), ...b.keys()])].filter((factor) => a.get(factor) !== b.get(factor))

/**
 * For each arm, what it has of the factors in which any two that are compared differ: `response abort`. Undefined for all of them
 * where no two differ in more than one.
 */
export function toldFactors(
  arms: readonly ArmFactors[],
  pairs: readonly (readonly [number, number])[],
): (readonly string[] | undefined)[] {
  const differences = pairs.map(([arm, other]) => differing(arms[arm]!, arms[other]!))
  if (differences.every(({ length }) => length < 2)) return arms.map(() => undefined)
  const factors = [...new Set(differences.flat())]
  return arms.map((arm) => factors.map((factor) => `${factor} ${arm.get(factor) ?? 'none'}`))
}

function inWords(value: unknown): string {
  if (isRecord(value) && typeof value.name === 'string') {
    const { name, parameter, ...rest } = value
    const more = [...(parameter === undefined ? [] : [parameter]), ...(Object.keys(rest).length > 0 ? [rest] : [])]
    return cut([name, ...more.map(plain)].join(' '))
  }
  return cut(plain(value))
}

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Two long texts that differ must not look the same. */
function cut(text: string): string {
  if (text.length <= LONGEST) return text
  let sum = 0
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)!) >>> 0
  return `${text.slice(0, LONGEST)}… (${sum.toString(16)})`
}
