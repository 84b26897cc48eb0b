import { z } from 'zod'
import { countSchema, durationSchema } from '../../core/duration.ts'
import type { PolicyInput } from '../../core/policy.ts'

/** What a factor is when a file leaves it out. `then` has no default here: see `Policy`. */
export const policyDefaults = {
  trigger: 'signal',
  response: 'abort',
  carry: 'all',
  warm: 'off',
  placement: 'any',
} as const satisfies PolicyInput

/** Whether signals from outside interrupt as well, beside what the trigger itself does. */
export const signalChoices = ['heed', 'ignore'] as const

const minimumSchema = z
  .strictObject({ words: countSchema.optional(), characters: countSchema.optional() })
  .refine(({ words, characters }) => words !== undefined || characters !== undefined, {
    error: 'is empty',
    params: { expected: 'words, characters or both' },
  })

/** The keys that stand beside a trigger's own, with what parses them. */
export const filterSchemas = { debounce: durationSchema, cooldown: durationSchema, minimum: minimumSchema } as const

/** What a trigger and a response have in common here. */
export interface FactorDefinition {
  readonly name: string
  readonly summary: string
  readonly parameter?: z.ZodType
  readonly parameterHint?: string
}

/** The trigger whose parameter is a list of triggers (a placement has this name too). It has no schema of its own, because it needs the catalogue. */
export const isAny = (definition: FactorDefinition): boolean => definition.name === 'any' && 'step' in definition

/** Whether the bare name is enough: it takes no parameter, or has a default for it. */
export const standsAlone = (definition: FactorDefinition): boolean =>
  !isAny(definition) && (definition.parameter === undefined || definition.parameter.safeParse(undefined).success)
