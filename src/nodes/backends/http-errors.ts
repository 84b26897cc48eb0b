import type { CallEnd } from '../../core/call.ts'
import { CaesuraError, type ErrorCode, summarize } from '../../core/errors.ts'

/** What the same call may survive when it is sent again: the fault was not the request's. */
const retryable: ReadonlySet<ErrorCode> = new Set([
  'CAESURA_E_REFUSED',
  'CAESURA_E_CONNECTION',
  'CAESURA_E_SERVER',
  'CAESURA_E_SERVER_BUSY',
  'CAESURA_E_STREAM_CUT',
  'CAESURA_E_MODEL_ERROR',
  'CAESURA_E_TIMEOUT_STALL',
] satisfies ErrorCode[])

export function failed(error: unknown): CallEnd {
  const summary = summarize(error)
  return {
    end: 'failed',
    error: summary,
    ...(retryable.has(summary.code) && { retryable: true }),
    ...(error instanceof TryLater && { retryAfterMs: error.retryAfterMs }),
    ...(error instanceof AnswerFault && { ofAnswer: true as const }),
  }
}

/** A fault of one answer that says nothing of its server: the server did answer. */
export class AnswerFault extends CaesuraError {
  /** The same fault as one of its answer; what is no fault of the protocol stays as it is. */
  static of(error: unknown): unknown {
    if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_PROTOCOL') return error
    const { code, message, place, cause } = error
    return new AnswerFault(code, message, { ...place, cause })
  }
}

/** A busy server that said how long to stay away. */
export class TryLater extends CaesuraError {
  readonly retryAfterMs: number

  constructor({ code, message, place, cause }: CaesuraError, retryAfterMs: number) {
    super(code, message, { ...place, cause })
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * The same fault with the `Retry-After` of its answer, so that `failed` can tell it: seconds, or a date, which counts from the
 * answer's own `Date` where there is one, for our clocks may differ. Left out where it is neither.
 */
export function withRetryAfter(
  error: CaesuraError,
  { 'retry-after': retryAfter = '', date }: Readonly<Record<string, string | string[] | undefined>>,
): CaesuraError {
  const value = String(retryAfter).trim()
  const ms = /^\d+$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - (date === undefined ? Date.now() : Date.parse(String(date)))
  if (error.code !== 'CAESURA_E_SERVER_BUSY' || !Number.isFinite(ms)) return error
  return new TryLater(error, Math.max(0, ms))
}

const NESTED = 8

interface Cause {
  readonly code: string
  readonly name: string
  readonly message: string
}

/** An error and what caused it, outermost first. */
function* causes(error: unknown, depth = 0): Generator<Cause> {
  if (!(error instanceof Error) || depth > NESTED) return
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  yield { code, name: error.name, message: error.message }
  if (error instanceof AggregateError) for (const inner of error.errors) yield* causes(inner, depth + 1)
  yield* causes(error.cause, depth + 1)
}

/** HTTP that cannot be parsed, or a body that cannot be unpacked. An end in the middle is neither. */
const notHttpCode = /^(HPE_(?!INVALID_EOF_STATE)|UND_ERR_HEADERS_OVERFLOW$|Z_(?!BUF_ERROR))/
/** undici 7.30 leaves the parser's code out, so that its reason has to tell. */
const notHttp = ({ code, name, message }: Cause): boolean =>
  notHttpCode.test(code) || (code === '' && name === 'HTTPParserError' && !/EOF/.test(message))

/** A fault before any answer: the connection was refused, broke, or could not be made; or the answer was not HTTP. */
export function connectionError(error: unknown, address: string): CaesuraError {
  if (error instanceof CaesuraError) return error
  const chain = [...causes(error)]
  const told = chain.findLast(({ message }) => message !== '')?.message ?? String(error)
  if (chain.some(({ code }) => code === 'ECONNREFUSED')) {
    return new CaesuraError('CAESURA_E_REFUSED', `${address} refused the connection`, { cause: error })
  }
  if (chain.some(notHttp)) {
    return new CaesuraError('CAESURA_E_PROTOCOL', `${address} did not answer in HTTP: ${told}`, { cause: error })
  }
  return new CaesuraError('CAESURA_E_CONNECTION', `the connection to ${address} failed: ${told}`, { cause: error })
}

/** A fault while the answer came. */
export function streamError(error: unknown, address: string): CaesuraError {
  if (error instanceof CaesuraError) return error
  const chain = [...causes(error)]
  const told = chain.findLast(({ message }) => message !== '')?.message ?? String(error)
  if (chain.some(notHttp)) {
    return new CaesuraError('CAESURA_E_PROTOCOL', `the answer of ${address} is not HTTP: ${told}`, { cause: error })
  }
  return new CaesuraError('CAESURA_E_STREAM_CUT', `the answer of ${address} broke off: ${told}`, { cause: error })
}

/** How much of an answer goes into a message, in characters. */
const QUOTED = 300

/** A piece of what a server said, on one line, for a message. */
export function quote(text: string, longest = QUOTED): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

const isConnectionFault = (error: unknown): boolean =>
  error instanceof CaesuraError && (error.code === 'CAESURA_E_REFUSED' || error.code === 'CAESURA_E_CONNECTION')

/** How a question about the server itself failed. */
export interface Unreachable {
  readonly signal: AbortSignal
  /** For messages. */
  readonly address: string
  /** The error for a server that is not there. */
  noServer(why: unknown): CaesuraError
  /** Whether any fault means that the server is not there; by default only a fault of the connection. */
  readonly any?: boolean
}

/** What `server` and its like throw: the reason of a cancelled signal, `CAESURA_E_NO_SERVER` where nothing answers, else the fault. */
export function unreachable(error: unknown, { signal, address, noServer, any = false }: Unreachable): unknown {
  if (signal.aborted) {
    const { reason } = signal
    return reason instanceof DOMException && reason.name === 'TimeoutError' ? noServer('no answer in time') : reason
  }
  const fault = error instanceof CaesuraError ? error : connectionError(error, address)
  return any || isConnectionFault(fault) ? noServer(fault) : fault
}

/** Why a server is not there, for a message. */
export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** What to do about it, where the fault says so itself. */
export const nextStep = (cause: unknown): string | undefined =>
  cause instanceof CaesuraError ? cause.place.hint : undefined

/** The server is there and wants a key, or another one. `answer`: which server, and what it said. */
export const notAdmitted = (answer: string): CaesuraError =>
  new CaesuraError(
    'CAESURA_E_AUTH',
    `${answer}; its node needs the right key (apiKeyEnv) or the right headers (headers)`,
    {
      hint: 'In the configuration of the node: apiKeyEnv names the variable that holds the key; headers are sent as they are. In the library: apiKey, headers.',
    },
  )
