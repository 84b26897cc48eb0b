import { z } from 'zod'
import type { CallEnd } from '../core/call.ts'
import { CaesuraError, type ErrorCode, summarize } from '../core/errors.ts'

/** What the same call may survive when it is sent again: the fault was not the request's. */
const retryable: ReadonlySet<ErrorCode> = new Set([
  'CAESURA_E_REFUSED',
  'CAESURA_E_CONNECTION',
  'CAESURA_E_SERVER_BUSY',
] satisfies ErrorCode[])

export function failed(error: unknown): CallEnd {
  const summary = summarize(error)
  return { end: 'failed', error: summary, ...(retryable.has(summary.code) && { retryable: true }) }
}

const NESTED = 8

/** The codes and messages of an error and of what caused it, outermost first. */
function* causes(error: unknown, depth = 0): Generator<{ code: string; message: string }> {
  if (!(error instanceof Error) || depth > NESTED) return
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  yield { code, message: error.message }
  if (error instanceof AggregateError) for (const inner of error.errors) yield* causes(inner, depth + 1)
  yield* causes(error.cause, depth + 1)
}

/** HTTP that cannot be parsed, or a body that cannot be unpacked. An end in the middle is neither. */
const notHttp = /^(HPE_(?!INVALID_EOF_STATE)|UND_ERR_HEADERS_OVERFLOW$|Z_(?!BUF_ERROR))/

/** A fault before any answer: the connection was refused, broke, or could not be made; or the answer was not HTTP. */
export function connectionError(error: unknown, address: string): CaesuraError {
  if (error instanceof CaesuraError) return error
  const chain = [...causes(error)]
  const told = chain.findLast(({ message }) => message !== '')?.message ?? String(error)
  if (chain.some(({ code }) => code === 'ECONNREFUSED')) {
    return new CaesuraError('CAESURA_E_REFUSED', `${address} refused the connection`, { cause: error })
  }
  if (chain.some(({ code }) => notHttp.test(code))) {
    return new CaesuraError('CAESURA_E_PROTOCOL', `${address} did not answer in HTTP: ${told}`, { cause: error })
  }
  return new CaesuraError('CAESURA_E_CONNECTION', `the connection to ${address} failed: ${told}`, { cause: error })
}

/** A fault while the answer came. */
export function streamError(error: unknown, address: string): CaesuraError {
  if (error instanceof CaesuraError) return error
  const chain = [...causes(error)]
  const told = chain.findLast(({ message }) => message !== '')?.message ?? String(error)
  if (chain.some(({ code }) => notHttp.test(code))) {
    return new CaesuraError('CAESURA_E_PROTOCOL', `the answer of ${address} is not HTTP: ${told}`, { cause: error })
  }
  return new CaesuraError('CAESURA_E_STREAM_CUT', `the answer of ${address} broke off: ${told}`, { cause: error })
}

const errorBody = z.object({ error: z.string() })
/** How much of an error's body goes into a message, in characters. */
const QUOTED = 300

/** What the server says in an error body: not always JSON (405 and unknown paths are plain text; a proxy sends HTML). */
function said(body: string): { text: string; json: boolean } {
  try {
    const parsed = errorBody.safeParse(JSON.parse(body))
    if (parsed.success) return { text: quote(parsed.data.error), json: true }
  } catch {
    // plain text
  }
  return { text: quote(body), json: false }
}

const quote = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line
}

/** 0.24 says the first, 0.32 quotes its llama-server with the other two. */
const contextFull = /input length exceeds the context length|exceed_context_size|exceeds the available context size/i

/** The error for an answer whose status is not 2xx. `model` is the one asked for, absent for requests without one. */
export function statusError(status: number, body: string, address: string, model?: string): CaesuraError {
  const { text, json } = said(body)
  const answer = `${address} answered ${status}${text === '' ? '' : `: ${text}`}`
  if (status >= 300 && status < 400) {
    return new CaesuraError('CAESURA_E_PROTOCOL', `${answer} (a redirect, which is not followed)`)
  }
  if (status === 404 && model !== undefined && json && /not found/i.test(text)) {
    const command = pullCommand(model)
    return new CaesuraError('CAESURA_E_NO_MODEL', `${address} has no model "${model}"; get it with: ${command}`, {
      hint: command,
    })
  }
  if (contextFull.test(body)) return new CaesuraError('CAESURA_E_CONTEXT_FULL', answer)
  // 499: someone else's cancel ended the load that this call was waiting for too.
  if (status === 429 || status === 503 || status === 499) return new CaesuraError('CAESURA_E_SERVER_BUSY', answer)
  if (status === 404 || status === 405) {
    return new CaesuraError('CAESURA_E_PROTOCOL', `${answer}; is that an Ollama server?`)
  }
  if (status >= 500) return new CaesuraError('CAESURA_E_SERVER', answer)
  return new CaesuraError('CAESURA_E_REQUEST', answer)
}

export const pullCommand = (model: string): string => `ollama pull ${model}`

/** No Ollama where one was looked for: which address, why, and the next step. */
export function noServer(address: string, cause: unknown): CaesuraError {
  const why = cause instanceof CaesuraError ? cause.message : cause instanceof Error ? cause.message : String(cause)
  return new CaesuraError(
    'CAESURA_E_NO_SERVER',
    `no Ollama server at ${address}: ${why}; start one with: ollama serve`,
    {
      hint: 'ollama serve',
      cause,
    },
  )
}
