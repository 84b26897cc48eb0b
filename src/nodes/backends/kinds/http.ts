import { z } from 'zod'
import { readServerUrl, withoutPassword } from '../../../core/address.ts'
import type { BackendPlace } from '../../../core/backend-kind.ts'
import { durationSchema } from '../../../core/duration.ts'
import type { Environment } from '../../../core/environment.ts'
import { CaesuraError } from '../../../core/errors.ts'
import { present } from '../../../core/present.ts'
import { headersSchema } from '../../headers-schema.ts'
import { secretsOfHeader } from '../../request-headers.ts'
import type { HttpAccess } from '../http-access.ts'
import type { HttpLimits } from '../http-limits.ts'

const NO_KEY =
  'an http or https URL without credentials; name the variable that holds a key as apiKeyEnv, or give headers'

/** A limit of nothing would fail every call. */
const deadline = durationSchema.refine((ms) => ms > 0, {
  error: 'is zero',
  params: { expected: 'a duration above 0, such as 300s' },
})

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

/** What a configuration says of a server over HTTP. `example`: of its URL. */
export const httpShape = (example: string, about: string) => ({
  loadDeadline: deadline.optional().describe('The longest wait for the first line of an answer; 300s by default.'),
  idleDeadline: deadline
    .optional()
    .describe('The longest silence in an answer, after its first line; 300s by default.'),
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
  url: urlSchema(`an http or https URL, such as ${example}`).describe(about),
})

type HttpConfig = z.output<z.ZodObject<ReturnType<typeof httpShape>>>

/** What a server over HTTP is reached with. Throws `CAESURA_E_CONFIG` for a variable of a key that is not set. */
export function httpOf(
  { url, headers, apiKeyEnv, loadDeadline, idleDeadline }: HttpConfig,
  { node, environment }: BackendPlace,
): HttpLimits & HttpAccess & { url: string } {
  const apiKey = apiKeyEnv === undefined ? undefined : environment[apiKeyEnv]?.trim()
  if (apiKeyEnv !== undefined && !apiKey)
    throw new CaesuraError('CAESURA_E_CONFIG', `the node ${node} needs an API key in ${apiKeyEnv}`, {
      expected: 'an environment variable that holds a key',
      hint: `export ${apiKeyEnv}=…`,
    })
  return {
    url,
    environment,
    ...present({ apiKey, headers, loadDeadlineMs: loadDeadline, idleDeadlineMs: idleDeadline }),
  }
}

/** What a server over HTTP is reached with, and must be in no log. */
export function httpSecrets({ apiKeyEnv, headers = {} }: HttpConfig, environment: Environment): string[] {
  const key = apiKeyEnv === undefined ? undefined : environment[apiKeyEnv]?.trim()
  return [...(key ? [key] : []), ...Object.values(headers).flatMap(secretsOfHeader)]
}
