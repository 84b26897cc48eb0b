import { boundedWork, TookTooLong } from './bounded-work.ts'
import type { JsonSchema } from './call.ts'
import { ajvOf, checkerOf } from './document-format.ts'
import { isRecord, type Path } from './problems.ts'

/** Characters of a schema as JSON. */
export const MOST_SCHEMA = 65_536
/** Schemas within schemas, each counted wherever it is referred to: what checking one document may have to look at. */
const MOST_SCHEMAS = 20_000
/** Schemas within schemas, one in the other. */
const DEEPEST = 100
const COMPILE_MS = 1000

/** Why a value is no schema that answers can be held to. */
export interface SchemaProblem {
  /** From the schema. */
  readonly path: Path
  /** What is said of the value there, such as `refers to itself`. */
  readonly message: string
  readonly expected: string
  readonly received?: unknown
}

/** By how a keyword holds schemas. */
const inMaps = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies']
const inLists = ['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items']
const single = [
  ...['items', 'additionalProperties', 'additionalItems', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'],
  ...['unevaluatedItems', 'unevaluatedProperties', 'contentSchema'],
]
const others = [
  ...['$ref', '$schema', '$id', '$comment', 'type', 'enum', 'const', 'title', 'description', 'default', 'examples'],
  ...['required', 'dependentRequired', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'pattern', 'format', 'minItems', 'maxItems', 'uniqueItems', 'minContains'],
  ...['maxContains', 'minProperties', 'maxProperties', 'contentMediaType', 'contentEncoding', 'readOnly', 'writeOnly'],
]
const keywords: ReadonlySet<string> = new Set([...inMaps, ...inLists, ...single, ...others])
/** They lead to a schema by another way than its place. */
const notTaken = ['$dynamicRef', '$dynamicAnchor', '$recursiveRef', '$recursiveAnchor', '$anchor']

/** What keeps a mapping from being a schema for answers; undefined where it is one. What is no JSON is for the caller to refuse. */
export function schemaProblem(schema: JsonSchema): SchemaProblem | undefined {
  const { length } = JSON.stringify(schema)
  if (length > MOST_SCHEMA) {
    const expected = `a JSON Schema of at most ${MOST_SCHEMA.toLocaleString('en-US')} characters`
    return { path: [], message: 'is too large', expected, received: `${length.toLocaleString('en-US')} characters` }
  }
  const own = Object.keys(schema)
  if (own.length > 0 && !own.some((key) => keywords.has(key)))
    return {
      path: [],
      message: 'is no JSON Schema',
      expected: 'a mapping with keywords of JSON Schema, such as type and properties',
      received: own.join(', '),
    }
  return new References(schema).problem() ?? metaProblem(schema) ?? compileProblem(schema)
}

const SCHEMA = 'a JSON Schema'

/** Held against the schema of schemas. */
function metaProblem(schema: JsonSchema): SchemaProblem | undefined {
  const ajv = ajvOf(schema)
  const { $schema: _, ...own } = schema
  if (ajv.validateSchema(own) === true) return undefined
  const [error] = ajv.errors ?? []
  const path = (error?.instancePath ?? '').split('/').slice(1).map(pointerPart)
  return { path, message: `is no JSON Schema: it ${error?.message ?? 'does not hold'}`, expected: SCHEMA }
}

function compileProblem(schema: JsonSchema): SchemaProblem | undefined {
  try {
    boundedWork(COMPILE_MS, () => checkerOf(schema))
    return undefined
  } catch (error) {
    const why = error instanceof TookTooLong ? error.message : String((error as Error).message).slice(0, 200)
    return { path: [], message: `cannot be used: ${why}`, expected: SCHEMA }
  }
}

const pointerPart = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')

/** Follows the references of a schema. */
class References {
  readonly #root: JsonSchema
  /** How many schemas a document may have to be held to because of one. */
  readonly #sizes = new Map<JsonSchema, number>()
  readonly #open = new Set<JsonSchema>()
  #problem: SchemaProblem | undefined

  constructor(root: JsonSchema) {
    this.#root = root
  }

  problem(): SchemaProblem | undefined {
    this.#size(this.#root, [])
    return this.#problem
  }

  #size(value: unknown, path: Path): number {
    if (!isRecord(value) || this.#problem !== undefined) return 1
    const known = this.#sizes.get(value)
    if (known !== undefined) return known
    if (this.#open.size === DEEPEST)
      return this.#refuse(path, 'is nested too deeply', `at most ${DEEPEST} schemas deep`)
    this.#open.add(value)
    let size = 1 + this.#referred(value, path)
    for (const [inner, at] of innerSchemas(value)) size += this.#size(inner, [...path, ...at])
    this.#open.delete(value)
    if (size > MOST_SCHEMAS && this.#problem === undefined) {
      const expected = `at most ${MOST_SCHEMAS.toLocaleString('en-US')} schemas, each counted where it is referred to`
      this.#problem = { path, message: 'is too large with its references put in', expected }
    }
    this.#sizes.set(value, size)
    return size
  }

  #referred(schema: Record<string, unknown>, path: Path): number {
    const taken = notTaken.find((key) => key in schema) ?? (path.length > 0 && '$id' in schema ? '$id' : undefined)
    if (taken !== undefined) return this.#refuse([...path, taken], `uses ${taken}`, 'references by place: #/$defs/NAME')
    const { $ref: reference } = schema
    if (typeof reference !== 'string') return 0
    const at = [...path, '$ref']
    const place = placeOf(reference)
    const target = place && this.#at(place)
    if (!isRecord(target) && typeof target !== 'boolean')
      return this.#refuse(at, 'refers to nothing in the schema', 'a place in it, such as #/$defs/NAME', reference)
    if (isRecord(target) && this.#open.has(target))
      return this.#refuse(at, 'refers to itself', 'a schema without recursion', reference)
    return this.#size(target, place!)
  }

  #at(place: readonly string[]): unknown {
    return place.reduce<unknown>(
      (value, part) =>
        Array.isArray(value) || (isRecord(value) && Object.hasOwn(value, part))
          ? (value as Record<string, unknown>)[part]
          : undefined,
      this.#root,
    )
  }

  #refuse(path: Path, message: string, expected: string, received?: unknown): number {
    this.#problem ??= { path, message, expected, ...(received !== undefined && { received }) }
    return 1
  }
}

/** Where a reference leads, from the root; undefined where it leads elsewhere. */
function placeOf(reference: string): string[] | undefined {
  if (reference !== '#' && !reference.startsWith('#/')) return undefined
  try {
    return decodeURIComponent(reference).split('/').slice(1).map(pointerPart)
  } catch {
    return undefined
  }
}

/** The schemas that stand in one, each with its place. */
function* innerSchemas(schema: Record<string, unknown>): Generator<[unknown, Path]> {
  for (const key of inMaps) {
    const map = schema[key]
    if (isRecord(map)) for (const [name, inner] of Object.entries(map)) yield [inner, [key, name]]
  }
  for (const key of inLists) {
    const list = schema[key]
    if (Array.isArray(list)) for (const [index, inner] of list.entries()) yield [inner, [key, index]]
  }
  for (const key of single) if (isRecord(schema[key])) yield [schema[key], [key]]
}
