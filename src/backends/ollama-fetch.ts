import { CaesuraError } from '../core/errors.ts'
import { type HttpCall, send, wholeBody } from './http-call.ts'
import { streamError, withRetryAfter } from './http-errors.ts'
import { statusError } from './ollama-errors.ts'
import { type AnswerLine, LineSplitter, parseLine } from './ollama-lines.ts'

/** Sends the requests of one call. Made for one call, as the `ollama` client around it is. */
export interface CallFetch extends HttpCall {
  /** For the hint of a 404. */
  readonly model?: string
  /** Sees each line of a streamed answer before the client does. Without it the answer is read in one piece. */
  line?(line: AnswerLine): void
}

/**
 * The `fetch` that one call's `ollama` client is given. It exists because that client (0.6) has no signal, cannot be aborted
 * before the headers, follows redirects, prints error bodies on stdout, drops broken lines with a warning, and has no limit on
 * a line's length. So every fault is found here and thrown as a `CaesuraError`; the client sees good answers only.
 */
export function fetchFor(call: CallFetch): typeof fetch {
  return async (input, init) => {
    const response = await send(call, {
      url: String(input),
      method: init?.method ?? 'GET',
      headers: Object.fromEntries(new Headers(init?.headers)),
      ...(typeof init?.body === 'string' && { body: init.body }),
    })
    if (!response.ok) {
      const error = statusError(response.status, await wholeBody(response, call), call.address, call.model)
      throw withRetryAfter(error, response.headers)
    }
    if (call.line === undefined) return new Response(await wholeBody(response, call))
    if (response.body === null) throw new CaesuraError('CAESURA_E_PROTOCOL', `${call.address} sent an empty answer`)
    return new Response(checkedLines(response.body, call, call.line))
  }
}

/**
 * Passes an answer on line by line, each already parsed once: a line costs a second JSON.parse (about a microsecond), and what
 * the client hands out is known to be whole and well-formed. Ends with an error where no last line came.
 */
function checkedLines(
  body: ReadableStream<Uint8Array>,
  call: CallFetch,
  see: (line: AnswerLine) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  const splitter = new LineSplitter()
  const encoder = new TextEncoder()
  let done = false
  /** Hands on the lines before a bad one first: `pull` runs while a read waits, so what is enqueued is read before the error. */
  const pass = (lines: Iterable<string>, controller: ReadableStreamDefaultController<Uint8Array>): boolean => {
    let passed = ''
    try {
      for (const line of lines) {
        if (done) break
        const parsed = parseLine(line)
        see(parsed)
        passed += `${line}\n`
        done = parsed.done
      }
    } finally {
      if (passed !== '') controller.enqueue(encoder.encode(passed))
    }
    return passed !== ''
  }
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          for (let some = false; !some; ) {
            const piece = await reader.read()
            some = pass(piece.done ? splitter.end().filter(isWhole) : splitter.push(piece.value), controller)
            if (piece.done && !done) {
              throw new CaesuraError(
                'CAESURA_E_STREAM_CUT',
                `the answer of ${call.address} ended without its last line`,
              )
            }
          }
          if (done) controller.close()
        } catch (error) {
          call.signal.throwIfAborted()
          throw streamError(error, call.address)
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** Whether what stands after the last line break is a line: false for the beginning of a JSON object that was cut. */
function isWhole(line: string): boolean {
  if (!line.trimStart().startsWith('{')) return true
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}
