import { Client, Dispatcher } from 'undici'
import type { CaesuraError } from '../../core/errors.ts'
import { type Credentials, credentialsOf, type HttpAccess } from './http-access.ts'
import type { HttpLimits } from './http-limits.ts'
import { type HttpProxy, proxyFor, throughProxy, toProxy } from './http-proxy.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** How long an idle connection is kept, ms, unless the server says less. Ollama itself never closes one. */
const KEEP_ALIVE_MS = 60_000
/** When a call looks after a spare connection, ms after its start: its own request has gone out by then. */
const SPARE_AFTER_MS = 5

/** A server that does not answer the small request in time gets no spare connection, ms. */
const SPARE_DEADLINE_MS = 2_000

const isIdle = (client: Client): boolean => client.stats.size === 0

/** Adds to each request what all of a node's have, before it goes out. */
class NodeClient extends Client {
  readonly #pathPrefix: string
  readonly #headers: Readonly<Record<string, string>>

  constructor(origin: string, options: Client.Options, pathPrefix: string, headers: Readonly<Record<string, string>>) {
    super(origin, options)
    this.#pathPrefix = pathPrefix
    this.#headers = headers
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const headers = { ...(options.headers as Readonly<Record<string, string>> | undefined), ...this.#headers }
    return super.dispatch({ ...options, path: this.#pathPrefix + options.path, headers }, handler)
  }
}

/**
 * The connections of one server: kept, shared by its calls, without hidden time limits. undici's own pool takes the first client
 * that is idle, connected or not, so after an abort it would open the closed connection again beside an idle one; this one
 * takes what is connected first. A spare is kept ready, because the call that follows an abort at once has no other.
 */
export class Connections extends Dispatcher {
  /** The URL that it was made with. */
  readonly url: URL
  /** On the way to the server, where there is one. */
  readonly proxy: HttpProxy | undefined
  /** The server for messages: its host, and the proxy on the way. */
  readonly where: string
  readonly #credentials: Credentials
  readonly #sparePath: string
  readonly #connectTimeoutMs: number
  readonly #keepsSpare: boolean
  readonly #clients = new Set<Client>()
  #opening = false
  #closed = false

  /**
   * `sparePath`: a path that is cheap to answer; opening a spare connection asks for it. Throws `CAESURA_E_CONFIG` for headers, a key
   * or a proxy that can't be used.
   */
  constructor(url: string, sparePath: string, settings: HttpLimits & HttpAccess) {
    super()
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS, spareConnection = true, environment = process.env } = settings
    this.url = new URL(url)
    this.proxy = proxyFor(this.url, environment)
    this.where = this.url.host + (this.proxy === undefined ? '' : ` (through the proxy ${this.proxy.shown})`)
    this.#credentials = credentialsOf(settings)
    this.#sparePath = sparePath
    this.#connectTimeoutMs = connectTimeoutMs
    this.#keepsSpare = spareConnection
  }

  /** The same fault, with nothing in it of what is secret about this server. */
  hide<E>(error: E): E | CaesuraError {
    return this.#credentials.hide(error)
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#free().dispatch(options, handler)
  }

  /** Whether a call could go out now without opening a connection. */
  get hasSpare(): boolean {
    for (const client of this.#clients) if (client.stats.connected && isIdle(client)) return true
    return false
  }

  /** Whether a request waits for the turn of the event loop that undici lets pass before it writes to a used connection. */
  get isSending(): boolean {
    for (const { stats } of this.#clients) if (stats.connected && stats.pending > 0) return true
    return false
  }

  /** Opens a connection soon, unless one is idle by then. Returns what withdraws the plan. */
  planSpare(): () => void {
    if (!this.#keepsSpare) return () => {}
    const timer = setTimeout(() => void this.#openSpare(), SPARE_AFTER_MS)
    timer.unref()
    return () => clearTimeout(timer)
  }

  override async destroy(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#clients].map((client) => client.destroy()))
    this.#clients.clear()
  }

  #free(): Client {
    let unconnected: Client | undefined
    for (const client of this.#clients) {
      if (!isIdle(client)) continue
      if (client.stats.connected) return client
      unconnected = client
    }
    return unconnected ?? this.openNew()
  }

  /** A client without a connection yet; it is kept like the others. */
  openNew(): Client {
    const client = this.#client()
    // undici opens a closed connection again, unasked, for a request that was aborted. That is the spare, unless there is one.
    client.on('disconnect', () => {
      setImmediate(() => {
        if (!isIdle(client) || (this.#keepsSpare && !this.hasSpare)) return
        this.#clients.delete(client)
        void client.destroy()
      })
    })
    this.#clients.add(client)
    return client
  }

  #client(): Client {
    const { proxy, url } = this
    const timeout = this.#connectTimeoutMs
    const options = (connect: NonNullable<Client.Options['connect']>): Client.Options => ({
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect,
    })
    const { headers } = this.#credentials
    if (proxy === undefined) return new NodeClient(url.origin, options({ timeout }), '', headers)
    // As curl and Go do: a tunnel for https only, for many proxies open none to other ports.
    if (url.protocol === 'https:')
      return new NodeClient(url.origin, options(throughProxy(proxy, url, timeout)), '', headers)
    const { authorization } = proxy
    return new NodeClient(proxy.origin.origin, options(toProxy(proxy, url, timeout)), url.origin, {
      ...headers,
      host: url.host,
      ...(authorization !== undefined && { 'proxy-authorization': authorization }),
    })
  }

  /** undici connects when a request comes, so a small one is sent. What becomes of it does not matter. */
  async #openSpare(): Promise<void> {
    if (this.#closed || this.#opening || this.hasSpare) return
    this.#opening = true
    try {
      const { body } = await this.#free().request({
        path: this.#sparePath,
        method: 'GET',
        signal: AbortSignal.timeout(SPARE_DEADLINE_MS),
      })
      await body.dump()
    } catch {
      // The next call finds no spare, and opens a connection of its own.
    } finally {
      this.#opening = false
    }
  }
}
