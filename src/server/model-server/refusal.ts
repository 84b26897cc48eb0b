import type { ErrorCode, ErrorSummary } from '../../core/errors.ts'

/** A request that is answered with a status other than 200 and `{"error": …}`, in Ollama's words where it has some. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const modelNotFound = (model: string): Refusal => new Refusal(404, `model '${model}' not found`)

export const serverBusy = (): Refusal =>
  new Refusal(503, 'server busy, please try again.  maximum pending requests exceeded')

/** Faults of what was asked for. */
const asked: ReadonlySet<ErrorCode> = new Set(['CAESURA_E_REQUEST', 'CAESURA_E_PROMPT_EMPTY', 'CAESURA_E_IMAGE'])

/** A call that failed before its first token, as Ollama 0.32 would say it. */
export function refusalOf({ code, message }: ErrorSummary): Refusal {
  if (code === 'CAESURA_E_CONTEXT_FULL') {
    // Ollama quotes the answer of its llama-server, and clients look for the type in it.
    const quoted = { error: { code: 400, message, type: 'exceed_context_size_error' } }
    return new Refusal(400, JSON.stringify(quoted))
  }
  return new Refusal(asked.has(code) ? 400 : 500, message)
}
