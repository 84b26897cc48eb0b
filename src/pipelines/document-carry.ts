import type { Catalogue } from '../core/catalogue.ts'
import type { Stage } from '../core/pipeline.ts'
import type { Policy } from '../core/policy.ts'
import { isRecord, type Path, type Problem } from '../core/problems.ts'

/** What a stage with a `format` may hand on: a document is whole, or it is none. The first is the default there. */
const allowed = ['valid', 'none']

/** The carry of a policy for which none was written. */
const BY_DEFAULT = 'all'

/** A policy of this stage: where nothing was written, the carry of a stage with a `format` is `valid`. */
export const policyOf = (asks: Stage['asks'], policy: Policy): Policy =>
  asks?.format !== undefined && policy.carry === BY_DEFAULT ? { ...policy, carry: allowed[0]! } : policy

/** The same for a stage that was read: of an arm whose policy took the place of the stage's own. `path`: to that policy. */
export function documentCarryProblems({ asks, policy }: Pick<Stage, 'asks' | 'policy'>, path: Path): Problem[] {
  if (asks?.format === undefined || allowed.includes(policy.carry)) return []
  return [problem(policy.carry, [...path, 'carry'], 'Write `carry: valid`.')]
}

function problem(carry: string, path: Path, hint: string): Problem {
  const params = { expected: 'valid or none', allowed, hint }
  return { path, input: carry, message: 'hands on a part of a document, for its stage has a format', params }
}

/** A policy, as it was written for a stage as it was written, whose carry would cut a document. */
export function carryProblems({ carries, presets }: Catalogue, stage: unknown, policy: unknown, path: Path): Problem[] {
  if (!isRecord(stage) || stage.format === undefined) return []
  const own = isRecord(policy) ? policy.carry : undefined
  const name = isRecord(policy) ? policy.preset : policy
  const carry = own ?? presets.find((preset) => preset.name === name)?.policy.carry
  if (typeof carry !== 'string' || allowed.includes(carry) || !carries.some((known) => known.name === carry)) return []
  const hint = own === undefined ? `Write \`{ preset: ${String(name)}, carry: valid }\`.` : 'Write `carry: valid`.'
  return [problem(carry, own === undefined ? path : [...path, 'carry'], hint)]
}
