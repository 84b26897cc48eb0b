import { Client, Dispatcher } from 'undici'
import type { HttpLimits } from './http-limits.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** How long an idle connection is kept, ms, unless the server says less. Ollama itself never closes one. */
const KEEP_ALIVE_MS = 60_000
/** When a call looks after a spare connection, ms after its start: its own request has gone out by then. */
const SPARE_AFTER_MS = 5

/** A server that does not answer the small request in time gets no spare connection, ms. */
const SPARE_DEADLINE_MS = 2_000

const isIdle = (client: Client): boolean => client.stats.size === 0

/**
 * The connections of one server: kept, shared by its calls, without hidden time limits. undici's own pool takes the first client
 * that is idle, connected or not, so after an abort it would open the closed connection again beside an idle one; this one
 * takes what is connected first. A spare is kept ready, because the call that follows an abort at once has no other.
 */
export class Connections extends Dispatcher {
  readonly #origin: string
  readonly #sparePath: string
  readonly #connectTimeoutMs: number
  readonly #keepsSpare: boolean
  readonly #clients = new Set<Client>()
  #opening = false
  #closed = false

  /** @param sparePath a path that is cheap to answer: opening a spare connection asks for it. */
  constructor(
    url: string,
    sparePath: string,
    { connectTimeoutMs = CONNECT_TIMEOUT_MS, spareConnection = true }: HttpLimits,
  ) {
    super()
    this.#origin = new URL(url).origin
    this.#sparePath = sparePath
    this.#connectTimeoutMs = connectTimeoutMs
    this.#keepsSpare = spareConnection
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
    const client = new Client(this.#origin, {
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: { timeout: this.#connectTimeoutMs },
    })
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
