import { type Agent, Dispatcher, fetch as undiciFetch } from 'undici'
import { CaesuraError } from '../core/errors.ts'
import { connectionError, statusError, streamError } from './ollama-errors.ts'
import { type AnswerLine, LineSplitter, parseLine } from './ollama-lines.ts'
import { dispatchTold, type Exchange } from './ollama-marks.ts'

/** How much of an error body or of an answer in one piece is read, in bytes. */
const LONGEST_BODY_BYTES = 4 * 1_048_576

/** Sends the requests of one call. Made for one call, as the `ollama` client around it is. */
export interface CallFetch {
  readonly agent: Agent
  /** For error messages. */
  readonly address: string
  /** For the hint of a 404. */
  readonly model?: string
  readonly signal: AbortSignal
  /** Made for each attempt; the latest one is the call's. */
  openExchange(): Exchange
  /** Sees each line of a streamed answer before the client does. Without it the answer is read in one piece. */
  line?(line: AnswerLine): void
}

/** One request as the agent gets it: its body in one piece, so that it goes out in one write and the connect can be told. */
class CallDispatcher extends Dispatcher {
  readonly #agent: Agent
  readonly #exchange: Exchange
  readonly #signal: AbortSignal
  readonly #body: string | null

  constructor(agent: Agent, exchange: Exchange, signal: AbortSignal, body: string | null) {
    super()
    this.#agent = agent
    this.#exchange = exchange
    this.#signal = signal
    this.#body = body
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // fetch comes here some microtasks after it was called.
    this.#signal.throwIfAborted()
    return dispatchTold(this.#exchange, this.#agent, { ...options, body: this.#body }, handler)
  }
}

/**
 * The `fetch` that one call's `ollama` client is given. It exists because that client (0.6) has no signal, cannot be aborted
 * before the headers, follows redirects, prints error bodies on stdout, drops broken lines with a warning, and has no limit on
 * a line's length. So every fault is found here and thrown as a `CaesuraError`; the client sees good answers only.
 */
export function fetchFor(call: CallFetch): typeof fetch {
  return async (input, init) => {
    const send = (exchange: Exchange) => {
      const body = typeof init?.body === 'string' ? init.body : null
      return undiciFetch(String(input), {
        method: init?.method ?? 'GET',
        headers: Object.fromEntries(new Headers(init?.headers)),
        body,
        redirect: 'manual',
        signal: call.signal,
        dispatcher: new CallDispatcher(call.agent, exchange, call.signal, body),
      })
    }
    const exchange = call.openExchange()
    const response = await send(exchange)
      .catch((error: unknown) => {
        if (!exchange.wentStale || call.signal.aborted) throw error
        // The server had closed this idle connection; it never saw the request.
        return send(call.openExchange())
      })
      .catch((error: unknown) => {
        call.signal.throwIfAborted()
        throw connectionError(error, call.address)
      })
    if (!response.ok) throw statusError(response.status, await wholeBody(response.body, call), call.address, call.model)
    if (call.line === undefined) return new Response(await wholeBody(response.body, call))
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
  const pass = (lines: readonly string[], controller: ReadableStreamDefaultController<Uint8Array>): void => {
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
  }
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          let lines: readonly string[] = []
          while (lines.length === 0) {
            const piece = await reader.read()
            lines = piece.done ? splitter.end().filter(isWhole) : splitter.push(piece.value)
            pass(lines, controller)
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

async function wholeBody(body: ReadableStream<Uint8Array> | null, call: CallFetch): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  try {
    for await (const piece of body ?? []) {
      bytes += piece.byteLength
      if (bytes > LONGEST_BODY_BYTES) {
        throw new CaesuraError(
          'CAESURA_E_PROTOCOL',
          `the answer of ${call.address} is longer than ${LONGEST_BODY_BYTES} bytes`,
        )
      }
      text += decoder.decode(piece, { stream: true })
    }
  } catch (error) {
    call.signal.throwIfAborted()
    throw streamError(error, call.address)
  }
  return text + decoder.decode()
}
