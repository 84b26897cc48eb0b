import { z } from 'zod'
import { CaesuraError } from '../../core/errors.ts'
import { nextStep, notAdmitted, quote, reasonOf } from './http-errors.ts'
import { isError, wordsOf } from './server-words.ts'

const errorBody = z.object({ error: z.unknown() }).refine(({ error }) => isError(error))

/** What the server says in an error body: not always JSON (405 and unknown paths are plain text; a proxy sends HTML). */
function said(body: string): { text: string; json: boolean } {
  try {
    const parsed = errorBody.safeParse(JSON.parse(body))
    if (parsed.success) return { text: quote(wordsOf(parsed.data.error).message), json: true }
  } catch {
    // plain text
  }
  return { text: quote(body), json: false }
}

/** 0.24 says the first, 0.32 quotes its llama-server with the other two. */
const contextFull = /input length exceeds the context length|exceed_context_size|exceeds the available context size/i

/** The error for an answer whose status is not 2xx. `model` is the one asked for, absent for requests without one. */
export function statusError(status: number, body: string, address: string, model?: string): CaesuraError {
  const { text, json } = said(body)
  const answer = `${address} answered ${status}${text === '' ? '' : `: ${text}`}`
  if (status === 401 || status === 403) return notAdmitted(answer)
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
  const step = nextStep(cause)
  const start = step === undefined ? '; start one with: ollama serve' : ''
  return new CaesuraError('CAESURA_E_NO_SERVER', `no Ollama server at ${address}: ${reasonOf(cause)}${start}`, {
    hint: step ?? 'ollama serve',
    cause,
  })
}
