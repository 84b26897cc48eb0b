import { z } from 'zod'
import { withoutPassword } from '../core/address.ts'
import type { BackendKind } from '../core/backend-kind.ts'
import type { Catalogue } from '../core/catalogue.ts'
import { textWithin, wholeWithin } from '../core/number-schema.ts'
import { isRecord, oneOrMany, type Problem, parseWith, type Reading, type Source, toErrors } from '../core/problems.ts'
import { REDIS_URL, readRedisUrl } from '../core/redis-address.ts'

const shared = {
  name: textWithin(100).describe('What records and placements call this node; no other node has it.'),
  slots: wholeWithin(1, 1024).default(1).describe('Calls that it works on at once.'),
  pool: textWithin(100).default('default').describe('The group of nodes that it belongs to.'),
  models: z
    .array(textWithin(500))
    .optional()
    .describe('The models that it takes calls for; any where this is left out.'),
}

const nodeOf = ({ name, summary, shape }: BackendKind) =>
  z.strictObject({ ...shared, ...shape, backend: z.literal(name) }).describe(summary)

const nodeSchema = ([first, ...others]: readonly BackendKind[]) =>
  z.discriminatedUnion('backend', [nodeOf(first!), ...others.map(nodeOf)])

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

/** What `caesura.config.yaml` holds, whose nodes are of these kinds. */
export const configSchema = (backends: readonly BackendKind[]) =>
  z.strictObject({
    nodes: z.array(nodeSchema(backends)).max(1000, 'at most 1000 nodes').default([]).describe('The model servers.'),
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
export type Config = z.output<ReturnType<typeof configSchema>>
/** A node: what every kind of backend has; the kind that `backend` names knows the rest. */
export type NodeConfig = Config['nodes'][number]
/** As a file or a program writes it. */
export type ConfigInput = Omit<z.input<ReturnType<typeof configSchema>>, 'nodes'> & {
  readonly nodes?: readonly Readonly<Record<string, unknown>>[]
}

/** Checks a configuration and reports everything at once. Errors: `CAESURA_E_CONFIG`, `CAESURA_E_ALIAS`. */
export function readConfig({ backends }: Catalogue, value: unknown, source: Source = {}): Reading<Config> {
  const parsed = parseWith(configSchema(backends), value)
  const problems = [...('problems' in parsed ? parsed.problems : []), ...nameProblems(value)]
  if (!('value' in parsed) || problems.length > 0) {
    return { errors: toErrors(problems, 'CAESURA_E_CONFIG', source), warnings: [] }
  }
  return { value: parsed.value, errors: [], warnings: [] }
}

/** A configuration. Throws a `CaesuraError`, or `CaesuraErrors` for several: see `readConfig`. */
export function defineConfig(catalogue: Catalogue, value: unknown, source: Source = {}): Config {
  const { value: config, errors } = readConfig(catalogue, value, source)
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
