import { z } from 'zod'
import type { Catalogue } from '../../core/catalogue.ts'
import { countSchema } from '../../core/duration.ts'
import { type FactorDefinition, filterSchemas, isAny, policyDefaults, signalChoices, standsAlone } from './factor.ts'

/** A piece of a JSON Schema. */
export type JsonSchema = { readonly [key: string]: unknown }

/** The JSON Schema of a policy as a file writes it, for editors: every name with its summary. */
export function policyJsonSchema(catalogue: Catalogue): JsonSchema {
  const trigger = { ...factorSchema(catalogue.triggers, true), default: policyDefaults.trigger }
  const response = { ...factorSchema(catalogue.responses, false), default: policyDefaults.response }
  const own = catalogue.thens.filter((then) => then.parameterHint === undefined)
  const properties = {
    preset: { description: 'A policy with a name; the other keys refine it.', ...nameSchema(catalogue.presets) },
    trigger: { description: 'When an interrupt happens.', ...trigger },
    response: { description: 'What becomes of the call in flight.', ...response },
    carry: choice('What the next stage sees of the partial output.', catalogue.carries, policyDefaults.carry),
    warm: choice('What is done ahead for the next stage.', catalogue.warms, policyDefaults.warm),
    placement: {
      description: 'Which node the next stage may use.',
      ...factorSchema(catalogue.placements, false),
      default: policyDefaults.placement,
    },
    then: {
      description: 'Where the run goes after an interrupt.',
      anyOf: [...(own.length > 0 ? [nameSchema(own)] : []), { type: 'string', description: "A stage's id." }],
    },
    limit: {
      description: 'How often an interrupt may lead back (again, or an earlier stage); then the run goes on.',
      ...jsonSchemaOf(countSchema),
    },
  }
  return {
    description: 'What happens at the boundary after this stage: the name of a policy, or its factors.',
    anyOf: [nameSchema(catalogue.presets), { type: 'object', properties, additionalProperties: false }],
  }
}

/** The JSON Schema of a factor's parameter; `{}` where it cannot be told. */
export function parameterSchema(definition: FactorDefinition): JsonSchema {
  const hint = definition.parameterHint === undefined ? {} : { description: definition.parameterHint }
  if (isAny(definition)) return { ...hint, type: 'array', minItems: 1 }
  if (definition.parameter === undefined) return { ...hint, type: 'null' }
  return { ...jsonSchemaOf(definition.parameter), ...hint }
}

/** The JSON Schema of a value as a file writes it. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return json
}

/** Draft 2020-12 has no descriptions for the members of an enum; editors show those of `const`. */
const nameSchema = (definitions: readonly { name: string; summary: string }[]): JsonSchema => ({
  oneOf: definitions.map(({ name, summary }) => ({ const: name, description: summary })),
})

const choice = (description: string, definitions: readonly FactorDefinition[], fallback: string): JsonSchema => ({
  description,
  ...nameSchema(definitions),
  default: fallback,
})

function factorSchema(definitions: readonly FactorDefinition[], isTrigger: boolean): JsonSchema {
  const signals = {
    description: 'Whether signals from outside interrupt as well.',
    enum: signalChoices,
    default: 'heed',
  }
  const filters = Object.fromEntries(Object.entries(filterSchemas).map(([key, schema]) => [key, jsonSchemaOf(schema)]))
  const mapping = (definition: FactorDefinition, parameter: JsonSchema): JsonSchema => ({
    description: definition.summary,
    type: 'object',
    properties: { [definition.name]: parameter, ...(isTrigger && { signals, ...filters }) },
    required: [definition.name],
    additionalProperties: false,
  })
  const alone = definitions.filter(standsAlone)
  const plain = definitions.filter((definition) => !isAny(definition))
  const member: JsonSchema = {
    anyOf: [nameSchema(alone), ...plain.map((definition) => mapping(definition, parameterSchema(definition)))],
  }
  const lists = definitions.filter(isAny).map((any) => mapping(any, { ...parameterSchema(any), items: member }))
  return { anyOf: [...(member.anyOf as JsonSchema[]), ...lists] }
}
