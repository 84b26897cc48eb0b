import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { type Clock, msToNs, type Nanoseconds, systemClock } from '../../core/clock.ts'
import type { MarkName } from '../../core/ledger.ts'
import { loopWatch } from './loop-watch.ts'

/**
 * How long after it was sent a request may still fail because its connection had been closed between two calls: a
 * generous round trip. A connection that breaks later broke during the call, and that is for the caller to know.
 */
const STALE_WITHIN_MS = 1_000

/**
 * One request and its answer, as undici tells of it through `diagnostics_channel`: the phase marks, the socket, and whether
 * the answer has been read to its end.
 */
export class Exchange {
  readonly #clock: Clock
  readonly #mark: (name: MarkName, at: Nanoseconds) => void
  readonly #startedAt = systemClock.now()
  #writtenAt: Nanoseconds | undefined
  #sentAt: Nanoseconds | undefined
  #heldBack = false
  #bytesBefore = 0
  #headersSeen = false
  #lastByteAt: Nanoseconds | undefined
  #lateNs: Nanoseconds = 0
  #socket: Socket | undefined
  #reused = false
  #ended = false
  #onEnd: (() => void) | undefined

  constructor(clock: Clock, mark: (name: MarkName, at: Nanoseconds) => void) {
    this.#clock = clock
    this.#mark = mark
  }

  /** When the last byte of the answer came, on the call's clock. */
  get lastByteAt(): Nanoseconds | undefined {
    return this.#lastByteAt
  }

  /** At most so late this process read a part of the answer, ns; 0 where it read all of it in time. */
  get lateNs(): Nanoseconds {
    return this.#lateNs
  }

  /** Set once the request has a connection. */
  get socket(): Socket | undefined {
    return this.#socket
  }

  connectStarts(): void {
    this.#mark('connect-start', this.#clock.now())
  }

  /** The request is about to be written to this socket, which opened at `connectedAt` on the system clock. */
  takes(socket: Socket, connectedAt: Nanoseconds | undefined): void {
    this.#socket = socket
    this.#bytesBefore = socket.bytesRead
    this.#reused = connectedAt === undefined || connectedAt < this.#startedAt
    if (!this.#reused) this.#mark('connected', this.#clock.now() - (systemClock.now() - connectedAt!))
  }

  /**
   * All of the request was handed over. It is sent once the kernel has taken it: a long one waits here until the kernel has room. On a
   * reused connection the mark waits for a sign of life: if the connection was stale, the request goes out again.
   */
  sent(): void {
    this.#writtenAt = this.#clock.now()
    this.#heldBack = this.#reused
    if (this.#socket?.writableNeedDrain) this.#socket.once('drain', this.#taken)
    else this.#taken()
  }

  readonly #taken = (): void => {
    this.#sentAt = this.#clock.now()
    if (!this.#heldBack && !this.#ended) this.#mark('request-sent', this.#sentAt)
  }

  headers(): void {
    this.flush()
    this.#headersSeen = true
    this.#mark('headers', this.#clock.now())
  }

  bytes(): void {
    this.#lastByteAt = this.#clock.now()
    this.#lateNs = Math.max(this.#lateNs, loopWatch.lateNs)
  }

  /** Gives the marks that were held back. */
  flush(): void {
    if (this.#heldBack && this.#sentAt !== undefined) this.#mark('request-sent', this.#sentAt)
    this.#heldBack = false
  }

  /** Whether the server had closed the connection before this request came: nothing of an answer, at once. */
  get wentStale(): boolean {
    return (
      this.#reused &&
      !this.#headersSeen &&
      this.#socket !== undefined &&
      this.#socket.bytesRead === this.#bytesBefore &&
      (this.#writtenAt === undefined || this.#clock.now() - this.#writtenAt < msToNs(STALE_WITHIN_MS))
    )
  }

  /** Whether the request is on a connection and its answer is not over. */
  get unfinished(): boolean {
    return this.#socket !== undefined && !this.#ended
  }

  /** The whole answer has arrived. */
  end(): void {
    this.#ended = true
    this.#socket?.off('drain', this.#taken)
    this.#onEnd?.()
  }

  /** Resolves to true when the connection is free for others or seen closed, to false after `deadlineMs`. */
  async released(deadlineMs: number): Promise<boolean> {
    const socket = this.#socket
    if (this.#ended || socket === undefined || socket.closed) return true
    return new Promise((resolve) => {
      const settle = (released: boolean) => {
        clearTimeout(timer)
        socket.off('close', seen)
        this.#onEnd = undefined
        resolve(released)
      }
      const seen = () => settle(true)
      const timer = setTimeout(() => settle(false), deadlineMs)
      socket.once('close', seen)
      this.#onEnd = seen
    })
  }
}

/** The exchange whose request is being dispatched right now: undici makes the request, and opens a connection, synchronously. */
let dispatching: Exchange | undefined
/**
 * By request identity: on a reused socket the async context in which undici tells of an answer is that of the request that
 * opened the socket, so AsyncLocalStorage would name the wrong call.
 */
const exchanges = new WeakMap<object, Exchange>()
const connectedAt = new WeakMap<object, Nanoseconds>()

interface RequestMessage {
  readonly request: object
}
type SocketMessage = { readonly socket: Socket }

const listeners: Readonly<Record<string, (message: unknown) => void>> = {
  'undici:request:create': (message) => {
    if (dispatching !== undefined) exchanges.set((message as RequestMessage).request, dispatching)
  },
  'undici:client:beforeConnect': () => dispatching?.connectStarts(),
  'undici:client:connected': (message) => connectedAt.set((message as SocketMessage).socket, systemClock.now()),
  'undici:client:sendHeaders': (message) => {
    const { request, socket } = message as RequestMessage & SocketMessage
    exchanges.get(request)?.takes(socket, connectedAt.get(socket))
  },
  'undici:request:bodySent': (message) => exchanges.get((message as RequestMessage).request)?.sent(),
  'undici:request:headers': (message) => exchanges.get((message as RequestMessage).request)?.headers(),
  'undici:request:trailers': (message) => {
    exchanges.get((message as RequestMessage).request)?.end()
  },
}

let installed = false

/** Subscribes once for the whole process. Requests that are not ours cost one look-up in a WeakMap an event. */
function install(): void {
  if (installed) return
  installed = true
  for (const [channel, listener] of Object.entries(listeners)) subscribe(channel, listener)
}

/** Dispatches a request so that `exchange` is told of it. */
export function dispatchTold(
  exchange: Exchange,
  agent: Dispatcher,
  options: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler,
): boolean {
  install()
  const outer = dispatching
  dispatching = exchange
  try {
    return agent.dispatch(options, handler)
  } finally {
    dispatching = outer
  }
}
