import { z } from 'zod'
import { readServerUrl, withoutPassword } from './address.ts'
import { durationSchema } from './duration.ts'
import { headersSchema } from './headers-schema.ts'
import { textWithin, wholeWithin } from './number-schema.ts'
import { isRecord, oneOrMany, type Problem, parseWith, type Reading, type Source, toErrors } from './problems.ts'
import { REDIS_URL, readRedisUrl } from './redis-address.ts'

const HTTP_URL = 'an http or https URL, such as http://127.0.0.1:11434'
const OPENAI_URL = 'an http or https URL, such as http://127.0.0.1:8080/v1'
const NO_KEY =
  'an http or https URL without credentials; name the variable that holds a key as apiKeyEnv, or give headers'

const shared = {
  name: textWithin(100).describe('What records and placements call this node; no other node has it.'),
  slots: wholeWithin(1, 1024).default(1).describe('Calls that it works on at once.'),
  pool: textWithin(100).default('default').describe('The group of nodes that it belongs to.'),
  models: z
    .array(textWithin(500))
    .optional()
    .describe('The models that it takes calls for; any where this is left out.'),
}

/** A limit of nothing would fail every call. */
const deadline = durationSchema.refine((ms) => ms > 0, {
  error: 'is zero',
  params: { expected: 'a duration above 0, such as 300s' },
})

/** Limits of a server over HTTP. */
const limits = {
  loadDeadline: deadline.optional().describe('The longest wait for the first line of an answer; 300s by default.'),
  idleDeadline: deadline
    .optional()
    .describe('The longest silence in an answer, after its first line; 300s by default.'),
}

/** The address of a server to talk to. Credentials in it are in no message. */
const urlSchema = (expected: string) =>
  z
    .string({ error: expected })
    .meta({ format: 'uri' })
    .check(({ value, issues }) => {
      const { fault, credentials } = readServerUrl(value)
      if (fault === undefined) return
      const params = { expected: credentials ? NO_KEY : expected }
      issues.push({ code: 'custom', input: withoutPassword(value, '…@'), message: fault, params })
    })

/** What a server over HTTP may ask for. */
const access = {
  apiKeyEnv: z
    .string()
    .check((context) => {
      if (/^[A-Za-z_]\w*$/.test(context.value)) return
      // Who writes the key itself here must not find it in a message.
      const params = { expected: 'the name of an environment variable, such as LLM_API_KEY' }
      context.issues.push({ code: 'custom', input: '…', message: 'is no name of a variable', params })
    })
    .optional()
    .describe('The environment variable that holds the API key; it is sent as Authorization: Bearer.'),
  headers: headersSchema
    .optional()
    .describe('Headers of every request to this node. Their values are in no record, log or error.'),
}

const nodeSchema = z.discriminatedUnion('backend', [
  z
    .strictObject({
      ...shared,
      ...limits,
      ...access,
      backend: z.literal('ollama'),
      url: urlSchema(HTTP_URL).describe('Where the server listens.'),
    })
    .describe('A server that speaks the Ollama API.'),
  z
    .strictObject({
      ...shared,
      ...limits,
      ...access,
      backend: z.literal('openai'),
      url: urlSchema(OPENAI_URL).describe(
        "The API's base, such as http://127.0.0.1:8080/v1; without a path, /v1 is meant.",
      ),
      witness: z
        .literal('slots')
        .optional()
        .describe('Waits after an abort until GET /slots of a llama.cpp server shows the slot free.'),
    })
    .describe('A server with an OpenAI-compatible API: llama.cpp, vLLM, LM Studio and others.'),
  z
    .strictObject({
      ...shared,
      backend: z.literal('llama-cpp'),
      model: textWithin(4096).describe("A GGUF file, relative to the configuration's folder."),
      threads: wholeWithin(1, 256).optional(),
    })
    .describe('A model in this process, through llama.cpp.'),
  z
    .strictObject({ ...shared, backend: z.literal('scripted') })
    .describe('Says what it is told, when it is told: for tests.'),
])

const aliasSchema: z.ZodType<string, string> = z
  .any()
  .meta({ type: 'string', minLength: 1, description: "A model's name as the server knows it." })
  .transform((value: unknown, context) => {
    if (typeof value === 'string' && value.trim() !== '') return value
    const params = { code: 'CAESURA_E_ALIAS', expected: "a model's name as the server knows it" }
    context.issues.push({ code: 'custom', input: value, message: 'has no model', params })
    return z.NEVER
  })

const file = textWithin(4096)

const redisUrl = z
  .string({ error: REDIS_URL })
  .meta({ format: 'uri' })
  .check(({ value, issues }) => {
    if (readRedisUrl(value) !== undefined) return
    const params = { expected: REDIS_URL }
    issues.push({ code: 'custom', input: withoutPassword(value, '…@'), message: 'is no URL of a Redis', params })
  })

/** What `caesura.config.yaml` holds. */
export const configSchema = z.strictObject({
  nodes: z.array(nodeSchema).max(1000, 'at most 1000 nodes').default([]).describe('The model servers.'),
  models: z.record(z.string(), aliasSchema).default({}).describe('Aliases: a short name to the name on the server.'),
  redis: redisUrl.optional().describe('For the distributed side.'),
  records: z
    .union(
      [
        file.describe('The SQLite file of finished runs.'),
        z.strictObject({
          file: file.optional().describe('The SQLite file of finished runs.'),
          text: z.boolean().default(false).describe('Whether prompts and outputs are kept in it.'),
        }),
      ],
      'a path, or a mapping with file and text',
    )
    .optional()
    .transform((records) => (typeof records === 'string' ? { file: records, text: false } : records)),
  captureContent: z
    .strictObject({
      spans: z.boolean().default(false).describe('Whether spans hold it.'),
      logs: z.boolean().default(false).describe('Whether the lines of ended runs hold it.'),
    })
    .optional()
    .describe('What people wrote and models answered; `records.text` is the switch of records.'),
})

/** A checked configuration, defaults filled in. */
export type Config = z.output<typeof configSchema>
export type NodeConfig = Config['nodes'][number]
export type ConfigInput = z.input<typeof configSchema>

/** Checks a configuration and reports everything at once. Errors: `CAESURA_E_CONFIG`, `CAESURA_E_ALIAS`. */
export function readConfig(value: unknown, source: Source = {}): Reading<Config> {
  const parsed = parseWith(configSchema, value)
  const problems = [...('problems' in parsed ? parsed.problems : []), ...nameProblems(value)]
  if (!('value' in parsed) || problems.length > 0) {
    return { errors: toErrors(problems, 'CAESURA_E_CONFIG', source), warnings: [] }
  }
  return { value: parsed.value, errors: [], warnings: [] }
}

/** A configuration. Throws a `CaesuraError`, or `CaesuraErrors` for several: see `readConfig`. */
export function defineConfig(value: unknown, source: Source = {}): Config {
  const { value: config, errors } = readConfig(value, source)
  if (config === undefined) throw oneOrMany(errors)
  return config
}

function nameProblems(value: unknown): Problem[] {
  const nodes: unknown[] = isRecord(value) && Array.isArray(value.nodes) ? value.nodes : []
  const seen = new Map<string, number>()
  return nodes.flatMap((node, index) => {
    const name = isRecord(node) ? node.name : undefined
    if (typeof name !== 'string') return []
    const first = seen.get(name)
    if (first === undefined) seen.set(name, index)
    if (first === undefined) return []
    const params = { expected: 'a name that no other node has' }
    return { path: ['nodes', index, 'name'], input: name, message: `is the name of nodes[${first}] already`, params }
  })
}
