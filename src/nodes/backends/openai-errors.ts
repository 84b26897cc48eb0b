import { z } from 'zod'
import { CaesuraError } from '../../core/errors.ts'
import { nextStep, notAdmitted, quote, reasonOf } from './http-errors.ts'
import { isError, type ServerWords, wordsOf } from './server-words.ts'

/** Beside `error`: vLLM's older form, FastAPI's. */
const otherForms = z.union([
  z.object({ object: z.literal('error') }),
  z.object({ detail: z.union([z.string(), z.array(z.unknown())]) }),
])

/** What an error object says; undefined where it is none. */
export function errorIn(value: unknown): ServerWords | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if ('error' in value && isError(value.error)) return wordsOf(value.error)
  return otherForms.safeParse(value).success ? wordsOf(value) : undefined
}

/** `errorIn` for a text that may be JSON. */
export function errorInText(text: string): ReturnType<typeof errorIn> {
  try {
    return errorIn(JSON.parse(text))
  } catch {
    return undefined
  }
}

const contextFull =
  /exceed_context_size|context_length_exceeded|maximum context length|exceeds? the (available )?context/i
const noSuchModel = /\bmodel\b.*\b(not found|(does|did) not exist|not exist)|model_not_found/i

/** The error for an answer whose status is not 2xx. `model` is the one asked for, absent for requests without one. */
export function statusError(status: number, body: string, address: string, model?: string): CaesuraError {
  const error = errorInText(body)
  const text = quote(error?.message ?? body)
  const answer = `${address} answered ${status}${text === '' ? '' : `: ${text}`}`
  if (status === 401 || status === 403) return notAdmitted(answer)
  const names = error !== undefined && noSuchModel.test(`${error.kind} ${error.message}`)
  if (model !== undefined && names && (status === 404 || status === 400))
    return new CaesuraError('CAESURA_E_NO_MODEL', `${address} has no model "${model}"`, {
      received: model,
      hint: 'GET /v1/models lists what it has.',
    })
  if (error !== undefined && contextFull.test(`${error.kind} ${error.message}`))
    return new CaesuraError('CAESURA_E_CONTEXT_FULL', answer)
  if (status === 429 || status === 503) return new CaesuraError('CAESURA_E_SERVER_BUSY', answer)
  if (status === 404 || status === 405)
    return new CaesuraError('CAESURA_E_PROTOCOL', `${answer}; is that an OpenAI-compatible API? Most end in /v1`)
  if (status >= 500) return new CaesuraError('CAESURA_E_SERVER', answer)
  return new CaesuraError('CAESURA_E_REQUEST', answer)
}

/** No such server where one was looked for: which address, and why. */
export const noServer = (address: string, cause: unknown): CaesuraError =>
  new CaesuraError('CAESURA_E_NO_SERVER', `no OpenAI-compatible server at ${address}: ${reasonOf(cause)}`, {
    hint: nextStep(cause) ?? 'Start it, or correct the URL of the node.',
    cause,
  })
