import type { JsonSchema } from '../../core/call.ts'
import { isRecord } from '../../core/problems.ts'

/** A text where a schema says nothing more. */
const WORD = 'w'

/**
 * A value that holds to a schema, always the same one: for servers that only say what they are told. It knows types, properties, items,
 * choices, bounds and references; what it does not know (a pattern, a condition) it does not look at.
 */
export const exampleOf = (schema: JsonSchema): unknown => exampleIn(schema, schema)

function exampleIn(given: unknown, root: JsonSchema): unknown {
  if (!isRecord(given)) return WORD
  const { $ref: reference, ...own } = given
  if (typeof reference === 'string') return exampleIn({ ...Object(at(reference, root)), ...own }, root)
  const schema = merged(own)
  if ('const' in schema) return schema.const
  const [choice] = listOf(schema.enum)
  if (choice !== undefined) return choice
  const [alternative] = [...listOf(schema.anyOf), ...listOf(schema.oneOf)]
  if (alternative !== undefined) {
    const { anyOf: _, oneOf: __, ...rest } = schema
    return exampleIn({ ...rest, ...Object(alternative) }, root)
  }
  return ofType(typeOf(schema), schema, root)
}

/** What a schema says together with the parts that must all hold. */
const merged = ({ allOf, ...schema }: Record<string, unknown>): Record<string, unknown> =>
  Object.assign(schema, ...listOf(allOf).map(Object))

function ofType(type: unknown, schema: Record<string, unknown>, root: JsonSchema): unknown {
  switch (type) {
    case 'object':
      return Object.fromEntries(
        [...new Set([...Object.keys(Object(schema.properties)), ...listOf(schema.required)])].map((name) => [
          name,
          exampleIn(Object(schema.properties)[name as string], root),
        ]),
      )
    case 'array': {
      const first = listOf(schema.prefixItems)
      const count = Math.max(first.length, numberOf(schema.minItems) ?? 1)
      const most = numberOf(schema.maxItems) ?? count
      return Array.from({ length: Math.min(count, most) }, (_, index) => exampleIn(first[index] ?? schema.items, root))
    }
    case 'boolean':
      return true
    case 'null':
      return null
    case 'integer':
    case 'number':
      return numberIn(schema)
    default:
      return WORD.repeat(Math.max(numberOf(schema.minLength) ?? 1, 1)).slice(0, numberOf(schema.maxLength))
  }
}

function typeOf({ type, properties, required, items, prefixItems }: Record<string, unknown>): unknown {
  if (Array.isArray(type)) return type.find((name) => name !== 'null') ?? 'null'
  if (type !== undefined) return type
  if (properties !== undefined || required !== undefined) return 'object'
  return items !== undefined || prefixItems !== undefined ? 'array' : 'string'
}

/** The smallest whole number that is allowed, 0 or above it where it may be. */
function numberIn({
  minimum,
  exclusiveMinimum,
  maximum,
  exclusiveMaximum,
  multipleOf,
}: Record<string, unknown>): number {
  const above = numberOf(exclusiveMinimum)
  const least = Math.max(
    numberOf(minimum) ?? Number.NEGATIVE_INFINITY,
    above === undefined ? Number.NEGATIVE_INFINITY : above + 1,
  )
  const below = numberOf(exclusiveMaximum)
  const most = Math.min(
    numberOf(maximum) ?? Number.POSITIVE_INFINITY,
    below === undefined ? Number.POSITIVE_INFINITY : below - 1,
  )
  const step = numberOf(multipleOf) ?? 1
  return Math.ceil(Math.min(Math.max(0, least), most) / step) * step
}

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [])

const at = (reference: string, root: JsonSchema): unknown =>
  decodeURIComponent(reference)
    .split('/')
    .slice(1)
    .reduce<unknown>((value, part) => Object(value)[part.replaceAll('~1', '/').replaceAll('~0', '~')], root)
