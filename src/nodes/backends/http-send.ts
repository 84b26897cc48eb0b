import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { CaesuraError } from '../../core/errors.ts'
import type { Connections } from './http-connections.ts'
import { connectionError, streamError } from './http-errors.ts'
import { dispatchTold, type Exchange } from './http-marks.ts'
import { proxyWantsUser } from './http-proxy.ts'
import { isRedirect, redirect } from './http-redirect.ts'

/** How much of an error body or of an answer in one piece is read, in bytes. */
const LONGEST_BODY_BYTES = 4 * 1_048_576

/** Sends the requests of one call. */
export interface HttpCall {
  readonly agent: Connections
  /** For error messages. */
  readonly address: string
  /** The call's own: see `follow`. */
  readonly signal: AbortSignal
  /** Made for each attempt; the latest one is the call's. */
  openExchange(): Exchange
}

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>

export const isGood = (status: number): boolean => status >= 200 && status < 300

/** Takes an answer in as it comes. */
export interface AnswerReader<T> {
  /** Takes bytes in, unpacked. Returns the result at the end of what it reads. Throws the fault in these bytes. */
  push(bytes: Uint8Array): T | undefined
  /** No bytes follow: the answer is over, or `fault` broke it. Returns the result or throws. */
  end(fault?: CaesuraError): T
  /** Resolves when what is still to come has taken too long: as if nothing followed. */
  readonly late?: Promise<void>
}

/** The reader for an answer, by its status and headers. */
export type ReaderFor<T> = (status: number, headers: AnswerHeaders) => AnswerReader<T>

/**
 * Sends a request, once more where the kept connection had been closed by the server, and reads its answer. Redirects are not
 * followed. Beneath `fetch`, whose streams and copies cost more than all of a call's own work. Throws `CAESURA_E_REFUSED`,
 * `CAESURA_E_CONNECTION`, `CAESURA_E_PROTOCOL`, what the reader throws, and the signal's reason once that is aborted.
 */
export async function send<T>(call: HttpCall, request: HttpRequest, readerFor: ReaderFor<T>): Promise<T> {
  call.signal.throwIfAborted()
  const exchange = call.openExchange()
  const reader: ReaderFor<T> = (status, headers) =>
    readerOfDetour(call, request, status, headers) ?? readerFor(status, headers)
  try {
    return await attempt(call, request, exchange, call.agent, reader)
  } catch (error) {
    if (!exchange.wentStale || call.signal.aborted) throw call.agent.hide(error)
    // The server had closed this idle connection; it never saw the request. Other idle ones may be as stale.
    return await attempt(call, request, call.openExchange(), call.agent.openNew(), reader).catch((again: unknown) => {
      throw call.agent.hide(again)
    })
  }
}

/** For an answer that is not the server's own, or leads elsewhere: throws what it says. */
function readerOfDetour(
  { agent, address }: HttpCall,
  { path }: HttpRequest,
  status: number,
  { location }: AnswerHeaders,
): AnswerReader<never> | undefined {
  const { proxy, url } = agent
  const fault = (): CaesuraError | undefined => {
    if (status === 407 && proxy !== undefined) return proxyWantsUser(proxy, url)
    return isRedirect(status) ? redirect(status, { address, path, url, location: String(location ?? '') }) : undefined
  }
  const found = fault()
  if (found === undefined) return undefined
  return wholeText(address, () => {
    throw found
  })
}

function attempt<T>(
  { address, signal }: HttpCall,
  request: HttpRequest,
  exchange: Exchange,
  agent: Dispatcher,
  readerFor: ReaderFor<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let connection: Dispatcher.DispatchController | undefined
    let reader: AnswerReader<T> | undefined
    let unpacker: Transform | undefined
    let fault: Error | undefined
    let settled = false
    /** What comes after the result, or after a fault, is not looked at. */
    const settle = (read: () => T | undefined) => {
      if (settled) return
      try {
        const result = read()
        if (result === undefined) return
        resolve(result)
      } catch (error) {
        reject(error)
      }
      settled = true
    }
    const push = (bytes: Uint8Array) => settle(() => reader?.push(bytes))
    const end = () =>
      settle(() => {
        if (reader === undefined) throw connectionError(fault, address)
        return reader.end(fault && streamError(fault, address))
      })
    // Stays for the whole exchange: an answer that does not end in time behind its last line is aborted too.
    signal.addEventListener(
      'abort',
      () => {
        settle(() => {
          throw signal.reason
        })
        connection?.abort(signal.reason)
      },
      { once: true },
    )
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        connection = controller
        // A request that was given up while its connection opened.
        if (signal.aborted) controller.abort(signal.reason)
      },
      onResponseStart(_, status, headers) {
        if (status < 200) return
        settle(() => {
          reader = readerFor(status, headers)
          void reader.late?.then(end)
          unpacker = unpackerFor(headers)
          return undefined
        })
        unpacker?.on('data', push).on('end', end)
        unpacker?.on('error', (error) => {
          fault ??= error
          end()
        })
      },
      onResponseData(controller, bytes) {
        exchange.bytes()
        if (unpacker === undefined) return push(bytes)
        if (unpacker.write(bytes)) return
        controller.pause()
        unpacker.once('drain', () => controller.resume())
      },
      onResponseEnd() {
        if (unpacker === undefined) end()
        else unpacker.end()
      },
      onResponseError(_, error) {
        fault = error
        // What has come and is still packed is read first.
        if (unpacker === undefined) end()
        else unpacker.end()
      },
    }
    const { body = null } = request
    dispatchTold(exchange, agent, { ...request, body }, handler)
  })
}

/** What a server may pack an answer with though it was not asked to. A token comes out when it has come in. */
function unpackerFor(headers: AnswerHeaders): Transform | undefined {
  const encoding = String(headers['content-encoding'] ?? '').toLowerCase()
  const flush = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip(flush)
  if (encoding === 'deflate') return createInflate(flush)
  if (encoding !== 'br') return undefined
  const { BROTLI_OPERATION_FLUSH } = constants
  return createBrotliDecompress({ flush: BROTLI_OPERATION_FLUSH, finishFlush: BROTLI_OPERATION_FLUSH })
}

/** Reads an answer in one piece and makes something of its text. Throws `CAESURA_E_PROTOCOL` above 4 MiB. */
export function wholeText<T>(address: string, make: (text: string) => T): AnswerReader<T> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  return {
    push(piece) {
      bytes += piece.byteLength
      if (bytes > LONGEST_BODY_BYTES) {
        const message = `the answer of ${address} is longer than ${LONGEST_BODY_BYTES} bytes`
        throw new CaesuraError('CAESURA_E_PROTOCOL', message)
      }
      text += decoder.decode(piece, { stream: true })
      return undefined
    },
    end(fault) {
      if (fault !== undefined) throw fault
      return make(text + decoder.decode())
    },
  }
}
