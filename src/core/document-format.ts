import { createRequire } from 'node:module'
import type { Ajv, ErrorObject, ValidateFunction } from 'ajv'
import type { Ajv2020 } from 'ajv/dist/2020.js'
import { boundedWork, TookTooLong } from './bounded-work.ts'
import type { DocumentFormat, JsonSchema } from './call.ts'

/** A check may take so long, ms: a pattern of a schema can take for ever. */
const MOST_MS = 1000
/** Schemas whose compiled form is kept. */
const MOST_KEPT = 64

const options = { strict: false, validateFormats: false, logger: false, addUsedSchema: false } as const
/** To load it takes 80 ms, which most processes never need: not by `import`, and not by a promise, for checks wait for nothing. */
const load = createRequire(import.meta.url)
const makers = {
  old: () => new (load('ajv') as typeof import('ajv')).Ajv(options),
  present: () => new (load('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')).Ajv2020(options),
}
const made: { old?: Ajv; present?: Ajv2020 } = {}

/** A schema that names draft 7 or an older one is read as such, any other as draft 2020-12. */
export function ajvOf({ $schema }: JsonSchema): Ajv | Ajv2020 {
  const draft = typeof $schema === 'string' && /draft-0[4-7]\b/.test($schema) ? 'old' : 'present'
  const ajv = made[draft] ?? makers[draft]()
  Object.assign(made, { [draft]: ajv })
  return ajv
}

/** By the schema's JSON, the one that was used last at the end. */
const kept = new Map<string, ValidateFunction>()

/** Throws what Ajv throws for what is no schema. */
export function checkerOf(schema: JsonSchema): ValidateFunction {
  const key = JSON.stringify(schema)
  const known = kept.get(key)
  kept.delete(key)
  const check = known ?? compile(schema)
  kept.set(key, check)
  const [oldest] = kept.keys()
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  return check
}

function compile(schema: JsonSchema): ValidateFunction {
  // Under these names Ajv would keep it, and look for what it does not know.
  const { $schema: _, $id: __, ...own } = schema
  const ajv = ajvOf(schema)
  try {
    return boundedWork(MOST_MS, () => ajv.compile(own))
  } finally {
    ajv.removeSchema(own)
  }
}

/** The document that a text is; undefined where it is none. */
export function documentIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Why a text is no document of a format, as the end of a sentence that quotes nothing of the text; undefined where it is one. Texts are not
 * held to `format` of a schema, which says what they are for.
 */
export function formatFault(format: DocumentFormat, text: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return jsonFault(error, text)
  }
  if (format === 'json') return undefined
  try {
    const check = checkerOf(format)
    return boundedWork(MOST_MS, () => check(value)) ? undefined : schemaFaultIn(check.errors?.[0])
  } catch (error) {
    if (error instanceof TookTooLong) return `its check against the schema takes longer than ${MOST_MS} ms`
    return 'its schema cannot be used'
  }
}

/** The message of the error quotes the text, so only the place is told. */
function jsonFault(error: unknown, text: string): string {
  const { message } = error as Error
  const at = Number(/at position (\d+)/.exec(message)?.[1])
  if (/unexpected end|unterminated/i.test(message) || at >= text.trimEnd().length) return 'it ends in the middle'
  return Number.isNaN(at) ? 'it is no JSON' : `it is no JSON from character ${at + 1} on`
}

/** Names the place in the schema, which is ours, and not the one in the document, whose keys may be the model's. */
const schemaFaultIn = (error: ErrorObject | undefined): string =>
  error === undefined
    ? 'it does not hold to its schema'
    : `it does not hold to ${error.schemaPath}: it ${error.message}`
