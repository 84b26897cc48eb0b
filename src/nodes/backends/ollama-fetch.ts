import { withRetryAfter } from './http-errors.ts'
import { type AnswerHeaders, type HttpCall, isGood, send, wholeText } from './http-send.ts'
import { statusError } from './ollama-errors.ts'

/** Sends the requests of one call. */
export interface OllamaCall extends HttpCall {
  /** For the hint of a 404. */
  readonly model?: string
}

/** The reader that throws what an answer without a good status says. */
export const refused = ({ address, model }: OllamaCall, status: number, headers: AnswerHeaders) =>
  wholeText(address, (text): never => {
    throw withRetryAfter(statusError(status, text, address, model), headers)
  })

/**
 * The `fetch` that an `ollama` client is given, for answers in one piece. It exists because that client (0.6) has no signal,
 * follows redirects, and prints error bodies on stdout. So every fault is found here and thrown as a `CaesuraError`; the client sees
 * good answers only.
 */
export function fetchFor(call: OllamaCall): typeof fetch {
  return (input, init) => {
    const { pathname, search } = new URL(String(input))
    return send(
      call,
      {
        method: init?.method ?? 'GET',
        path: pathname + search,
        headers: Object.fromEntries(new Headers(init?.headers)),
        ...(typeof init?.body === 'string' && { body: init.body }),
      },
      (status, headers) =>
        isGood(status) ? wholeText(call.address, (text) => new Response(text)) : refused(call, status, headers),
    )
  }
}
