import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { CaesuraError, CaesuraErrors, type ErrorCode, type ErrorPlace } from '../../core/errors.ts'

const place = {
  path: z.string().optional().describe('Where in the request, such as `signals[0].stage`.'),
  received: z.string().optional(),
  expected: z.string().optional(),
  hint: z.string().optional().describe('What to do next, in one sentence.'),
  file: z.string().optional(),
  line: z.int().optional(),
  column: z.int().optional(),
}

/** RFC 9457, with our code: the body of every error, as `application/problem+json`. */
export const problemSchema = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string().describe('What the status means.'),
  status: z.int().min(400).max(599),
  detail: z.string().describe('What was wrong, in one sentence.'),
  code: z.string().regex(/^CAESURA_E_[A-Z_]+$/),
  ...place,
  errors: z
    .array(z.strictObject({ code: z.string(), message: z.string(), ...place }))
    .optional()
    .describe('Every fault, where there are several.'),
})
export type Problem = z.infer<typeof problemSchema>
export const PROBLEM_TYPE = 'application/problem+json'

/** An error that is answered with a status of its own. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly error: CaesuraError
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, error: CaesuraError, headers: Readonly<Record<string, string>> = {}) {
    super(error.message)
    this.status = status
    this.error = error
    this.headers = headers
  }
}

/** A refusal with `CAESURA_E_USAGE`. */
export const misuse = (
  status: number,
  message: string,
  where: ErrorPlace = {},
  headers: Readonly<Record<string, string>> = {},
): Refusal => new Refusal(status, new CaesuraError('CAESURA_E_USAGE', message, where), headers)

const statuses: Partial<Record<ErrorCode, number>> = {
  CAESURA_E_RUN_UNKNOWN: 404,
  CAESURA_E_SESSION_UNKNOWN: 404,
  CAESURA_E_RUN_ENDED: 409,
  CAESURA_E_SESSION_BUSY: 409,
  CAESURA_E_REDIS: 503,
  CAESURA_E_FLEET_FULL: 503,
  CAESURA_E_RECORDS: 503,
}
/** When to come back, s. */
const RETRY_AFTER = { 'retry-after': '1' }
/** … where others have to end first. */
const RETRY_LATER = { 'retry-after': '5' }

/** What an error is answered with. What is no error of ours becomes a 500 that tells nothing of it. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const first = error instanceof CaesuraErrors ? error.errors[0] : error
  if (!(first instanceof CaesuraError)) return refusalByServer(error)
  const status = statuses[first.code] ?? (first.exitCode === 2 ? 400 : 500)
  if (first.code === 'CAESURA_E_FLEET_FULL') return new Refusal(status, first, RETRY_LATER)
  return new Refusal(status, first, status === 503 ? RETRY_AFTER : {})
}

/** What fastify found wrong has a status; Redis may refuse a command. */
function refusalByServer(error: unknown): Refusal {
  const { name, message, statusCode = 500 } = error as Error & { statusCode?: number }
  if (name === 'ReplyError') {
    return new Refusal(
      503,
      new CaesuraError('CAESURA_E_REDIS', 'Redis refuses the command', { cause: error }),
      RETRY_AFTER,
    )
  }
  if (statusCode >= 400 && statusCode < 500) return misuse(statusCode, sentences[statusCode] ?? message)
  return new Refusal(500, new CaesuraError('CAESURA_E_INTERNAL', 'this server has a fault; its log tells more'))
}

const sentences: Readonly<Record<number, string>> = {
  413: 'the body is too large',
  415: 'the body must be JSON, with the content type application/json',
}

export function problemOf(error: unknown): Problem {
  const { status, error: first } = refusalOf(error)
  const { message, ...rest } = first.toJSON()
  const several = error instanceof CaesuraErrors ? { errors: error.errors.map((each) => each.toJSON()) } : {}
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail: message, ...rest, ...several }
}
