import type { Catalogue } from '../../core/catalogue.ts'
import type { PolicyInput } from '../../core/policy.ts'
import { present } from '../../core/present.ts'
import { type FactorDefinition, filterSchemas, policyDefaults, signalChoices } from './factor.ts'
import { type JsonSchema, jsonSchemaOf, parameterSchema } from './policy-json-schema.ts'

/** One name of a factor, as `policies --json` tells it. */
export interface ListedFactor {
  readonly name: string
  /** By the key that a file writes: `{ "after": … }` for `trigger: { after: 1s }`. Empty for a bare name. */
  readonly parameters: Readonly<Record<string, ListedParameter>>
  readonly summary: string
  /** Present on the name that counts when a file leaves the factor out. */
  readonly default?: true
}

export interface ListedParameter {
  readonly summary: string
  readonly schema: JsonSchema
  /** Present where the parameter may be left out. */
  readonly default?: unknown
}

export interface ListedPreset extends ListedFactor {
  /** Its factors, defaults filled in. */
  readonly policy: PolicyInput
}

export interface PolicyListing {
  readonly triggers: readonly ListedFactor[]
  readonly responses: readonly ListedFactor[]
  readonly carries: readonly ListedFactor[]
  readonly warms: readonly ListedFactor[]
  readonly placements: readonly ListedFactor[]
  readonly thens: readonly ListedFactor[]
  readonly presets: readonly ListedPreset[]
}

/** All that a policy can be made of; with `name`, only what has it. */
export function listPolicies(catalogue: Catalogue, name?: string): PolicyListing {
  const wanted = <D extends { readonly name: string }>(definitions: readonly D[]): readonly D[] =>
    definitions.filter((definition) => name === undefined || definition.name === name)
  const list = (definitions: readonly FactorDefinition[], fallback: string, more: ListedFactor['parameters'] = {}) =>
    wanted(definitions).map(
      (definition): ListedFactor => ({
        name: definition.name,
        parameters: { ...parametersOf(definition), ...more },
        summary: definition.summary,
        ...(definition.name === fallback && { default: true as const }),
      }),
    )
  return {
    triggers: list(catalogue.triggers, policyDefaults.trigger, { signals, ...filters }),
    responses: list(catalogue.responses, policyDefaults.response),
    carries: list(catalogue.carries, policyDefaults.carry),
    warms: list(catalogue.warms, policyDefaults.warm),
    placements: list(catalogue.placements, policyDefaults.placement),
    thens: list(catalogue.thens, 'next'),
    presets: wanted(catalogue.presets).map(({ name, summary, policy }) => ({
      name,
      parameters: {},
      summary,
      policy: { ...policyDefaults, ...policy },
    })),
  }
}

/** Every name there is. */
export function policyNames(catalogue: Catalogue): string[] {
  const names = Object.values(catalogue).flatMap((definitions: readonly { readonly name: string }[]) =>
    definitions.map((definition) => definition.name),
  )
  return [...new Set(names)]
}

const signals: ListedParameter = {
  summary: 'Whether signals from outside interrupt as well.',
  schema: { enum: signalChoices },
  default: 'heed',
}

const filterSummaries: Record<keyof typeof filterSchemas, string> = {
  debounce: 'D: a signal counts when no newer one came for so long.',
  cooldown: 'D: after a signal that interrupted, others are refused for so long.',
  minimum: "words, characters: what a signal's input must have at least.",
}

const filters = Object.fromEntries(
  Object.entries(filterSchemas).map(([key, schema]): [string, ListedParameter] => [
    key,
    { summary: filterSummaries[key as keyof typeof filterSchemas], schema: jsonSchemaOf(schema) },
  ]),
)

function parametersOf(definition: FactorDefinition): Record<string, ListedParameter> {
  const { name, parameterHint, parameter } = definition
  if (parameter === undefined && parameterHint === undefined) return {}
  const fallback: unknown = parameter?.safeParse(undefined).data
  const listed = { summary: parameterHint ?? 'A value.', schema: parameterSchema(definition) }
  return { [name]: { ...listed, ...present({ default: fallback }) } }
}
