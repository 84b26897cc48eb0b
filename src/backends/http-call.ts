import { Dispatcher, type Response, fetch as undiciFetch } from 'undici'
import type { CallEnd, GenerateContext } from '../core/call.ts'
import { msToNs } from '../core/clock.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Connections } from './http-connections.ts'
import { connectionError, failed, streamError } from './http-errors.ts'
import { dispatchTold, Exchange } from './http-marks.ts'

export const LOAD_DEADLINE_MS = 300_000
/** How long an answer may take to end after its last line, ms. Then its connection is given up. */
const REST_MS = 250
/** How long a cancelled call waits to see its connection closed, ms. It takes well under one. */
const CLOSE_DEADLINE_MS = 1_000
/** How much of an error body or of an answer in one piece is read, in bytes. */
const LONGEST_BODY_BYTES = 4 * 1_048_576

/** Sends the requests of one call. */
export interface HttpCall {
  readonly agent: Connections
  /** For error messages. */
  readonly address: string
  readonly signal: AbortSignal
  /** Made for each attempt; the latest one is the call's. */
  openExchange(): Exchange
}

export interface HttpRequest {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** One request as the agent gets it: its body in one piece, so that it goes out in one write and the connect can be told. */
class CallDispatcher extends Dispatcher {
  readonly #agent: Dispatcher
  readonly #exchange: Exchange
  readonly #signal: AbortSignal
  readonly #body: string | null

  constructor(agent: Dispatcher, exchange: Exchange, signal: AbortSignal, body: string | null) {
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
 * Sends a request, once more where the kept connection had been closed by the server. Redirects are not followed. Throws
 * `CAESURA_E_REFUSED`, `CAESURA_E_CONNECTION`, `CAESURA_E_PROTOCOL`, and the signal's reason once that is aborted.
 */
export async function send(call: HttpCall, request: HttpRequest): Promise<Response> {
  const { url, method, headers, body = null } = request
  const attempt = (exchange: Exchange, agent: Dispatcher) =>
    undiciFetch(url, {
      method,
      headers,
      body,
      redirect: 'manual',
      signal: call.signal,
      dispatcher: new CallDispatcher(agent, exchange, call.signal, body),
    })
  const exchange = call.openExchange()
  return attempt(exchange, call.agent)
    .catch((error: unknown) => {
      if (!exchange.wentStale || call.signal.aborted) throw error
      // The server had closed this idle connection; it never saw the request. Other idle ones may be as stale.
      return attempt(call.openExchange(), call.agent.openNew())
    })
    .catch((error: unknown) => {
      call.signal.throwIfAborted()
      throw connectionError(error, call.address)
    })
}

/** The body of an answer in one piece. Throws `CAESURA_E_PROTOCOL` above 4 MiB, and as a stream that breaks does. */
export async function wholeBody({ body }: Response, call: HttpCall): Promise<string> {
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

/**
 * A signal of the call's own that follows the one it was given. `fetch` leaves its listener on a signal until garbage
 * collection, and a run's signal sees many calls.
 */
export function follow(signal: AbortSignal): {
  controller: AbortController
  signal: AbortSignal
  dispose: () => void
} {
  const controller = new AbortController()
  // Marks are told from inside undici, which fails when it is aborted there.
  const abort = () => queueMicrotask(() => controller.abort(signal.reason))
  if (signal.aborted) controller.abort(signal.reason)
  else signal.addEventListener('abort', abort, { once: true })
  return { controller, signal: controller.signal, dispose: () => signal.removeEventListener('abort', abort) }
}

export const loadTimeout = (address: string, loadDeadlineMs: number): CaesuraError =>
  new CaesuraError('CAESURA_E_TIMEOUT_LOAD', `${address} sent nothing within ${loadDeadlineMs} ms (loading the model?)`)

/** What the life of one call needs to know of its backend. */
export interface CallLife {
  readonly agent: Connections
  readonly address: string
  readonly loadDeadlineMs: number
  /** Called after the connection of an unfinished call was closed, before the call settles. Never rejects. */
  left?(): Promise<void>
}

/**
 * The life of one call on the wire, as `Backend.generate` promises it. `answer` reads the answer to its last line, throws what
 * goes wrong, and says when the first line came (`begun`).
 */
export async function callOverHttp(
  context: GenerateContext,
  { agent, address, loadDeadlineMs, left }: CallLife,
  answer: (wire: Pick<HttpCall, 'signal' | 'openExchange'> & { begun: () => void }) => Promise<CallEnd>,
): Promise<CallEnd> {
  if (context.signal.aborted) return { end: 'cancelled' }
  const { controller, signal, dispose } = follow(context.signal)
  const deadline = context.clock.now() + msToNs(loadDeadlineMs)
  const begun = context.clock.schedule(deadline, () => controller.abort(loadTimeout(address, loadDeadlineMs)))
  let exchange: Exchange | undefined
  const openExchange = () => (exchange = new Exchange(context.clock, (name, at) => context.mark(name, at)))
  /** Ends what is left of the call on the wire. */
  const leave = async () => {
    const unfinished = exchange?.unfinished ?? false
    controller.abort()
    exchange?.flush()
    if (exchange?.socket !== undefined && (await exchange.released(CLOSE_DEADLINE_MS))) context.mark('closed')
    if (unfinished) await left?.()
  }
  /** The end of the answer follows its last line at once. */
  const readRest = async () => {
    if (exchange !== undefined && !(await exchange.released(REST_MS))) controller.abort()
  }
  const withdrawSpare = agent.planSpare()
  try {
    const end = await answer({ signal, openExchange, begun })
    if (agent.hasSpare) void readRest()
    else {
      // undici gives the connection to another call one turn of the event loop later: a stage that follows at once would open
      // a new one, which costs more than the wait.
      await readRest()
      await new Promise(setImmediate)
    }
    return end
  } catch (error) {
    const end = context.signal.aborted ? ({ end: 'cancelled' } as const) : failed(error)
    await leave()
    return end
  } finally {
    withdrawSpare()
    begun()
    dispose()
  }
}
