import { z } from 'zod'
import type { DocumentFormat, JsonSchema, ToolDescription } from '../core/call.ts'
import { textWithin } from '../core/number-schema.ts'
import { isRecord } from '../core/problems.ts'
import { MOST_SCHEMA, schemaProblem } from '../core/schema-check.ts'

const FORMAT = 'json, or a JSON Schema as a mapping'
const MOST_TOOLS = 64
const TOOLS = `a list of 1 to ${MOST_TOOLS} tools`
const TOOL = 'a tool as { name, description?, parameters }: functions by their names are not taken yet'
const TOOL_NAME = /^[A-Za-z_][\w.-]{0,63}$/

/** Its JSON Schema would be a recursive one, whose definitions have no place inside of other schemas. */
const json = z.json()

/** Undefined for what is no JSON, or contains itself. */
export function jsonOf(value: unknown): string | undefined {
  try {
    return json.safeParse(value).success ? JSON.stringify(value) : undefined
  } catch {
    return undefined
  }
}

/** Issues of a mapping that answers, or arguments, are to be held to. */
const checkSchema = ({ value, issues }: z.core.ParsePayload<Record<string, unknown>>): void => {
  if (jsonOf(value) === undefined) {
    const params = { expected: 'a JSON Schema as a mapping' }
    issues.push({ code: 'custom', input: 'another mapping', message: 'is no JSON', params })
    return
  }
  const problem = schemaProblem(value as JsonSchema)
  if (problem === undefined) return
  const { path, message, expected, received } = problem
  issues.push({ code: 'custom', path: [...path], input: received, message, params: { expected } })
}

export const formatSchema: z.ZodType<DocumentFormat> = z
  .any()
  .meta({ anyOf: [{ const: 'json' }, { type: 'object' }] })
  .check((payload) => {
    const { value, issues } = payload
    if (value === 'json') return
    if (isRecord(value)) checkSchema(payload)
    else issues.push({ code: 'custom', input: value, message: 'is no format', params: { expected: FORMAT } })
  })

const toolSchema = z.strictObject(
  {
    name: z.string('a text').regex(TOOL_NAME, 'letters, digits, _, . and -, at most 64, beginning with a letter'),
    description: textWithin(10_000).optional(),
    parameters: z.record(z.string(), z.any(), 'a JSON Schema as a mapping').check(checkSchema),
  },
  TOOL,
)

export const toolsSchema = z
  .array(toolSchema, TOOLS)
  .min(1, TOOLS)
  .max(MOST_TOOLS, TOOLS)
  .check(({ value, issues }) => {
    const seen = new Set<string>()
    for (const [index, { name }] of value.entries()) {
      if (seen.has(name)) {
        const params = { expected: 'a name that no other tool of the stage has' }
        issues.push({
          code: 'custom',
          path: [index, 'name'],
          input: name,
          message: 'is the name of another tool',
          params,
        })
      }
      seen.add(name)
    }
    const length = jsonOf(value)?.length ?? 0
    if (length <= MOST_SCHEMA) return
    const params = { expected: `tools of at most ${MOST_SCHEMA.toLocaleString('en-US')} characters together` }
    const input = `${length.toLocaleString('en-US')} characters`
    issues.push({ code: 'custom', input, message: 'are too large', params })
  })

/** As calls have them. */
export const toolsOf = (tools: readonly z.output<typeof toolSchema>[] | undefined): ToolDescription[] | undefined =>
  tools?.map(({ name, description, parameters }) => ({
    name,
    ...(description !== undefined && { description }),
    parameters,
  }))

/** Whether a stage as it was written has a limit for tool calls. */
export const limitsToolCalls = (timeout: unknown): boolean => isRecord(timeout) && timeout.toolCall !== undefined
