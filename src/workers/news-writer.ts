import type { NewsItem } from './news.ts'
import type { FleetRedis } from './redis.ts'
import type { CallTicket } from './ticket-queues.ts'

/** The news of a call go in writes that are at least so far apart, ms; the first token and the end wait for nothing. */
export const COALESCE_MS = 8

/**
 * Writes the news of a call: the first token and the end at once, what comes between at once too or, where it comes fast, together.
 * In order and each once, also over a lost connection, for every batch says which one it is. While Redis is gone it keeps what comes.
 */
export class NewsWriter {
  readonly #redis: FleetRedis
  readonly #ticket: CallTicket
  readonly #claim: string
  readonly #refused: () => void
  #items: NewsItem[] = []
  #next = 0
  #timer: NodeJS.Timeout | undefined
  #hasToken = false
  #isSending = false
  /** ms; the first marks wait for what follows them. */
  #sentAt = performance.now()
  #last: Promise<void> = Promise.resolve()

  /** `refused`: the call is not ours any more. */
  constructor(redis: FleetRedis, ticket: CallTicket, claim: string, refused: () => void) {
    this.#redis = redis
    this.#ticket = ticket
    this.#claim = claim
    this.#refused = refused
  }

  tell(item: NewsItem): void {
    this.#items.push(item)
    if (item[0] === 'end' || (item[0] === 'token' && !this.#hasToken)) this.#sendSoon()
    else {
      const sinceMs = performance.now() - this.#sentAt
      if (sinceMs >= COALESCE_MS) this.#sendSoon()
      else this.#timer ??= setTimeout(() => this.#send(), COALESCE_MS - sinceMs)
    }
    if (item[0] === 'token') this.#hasToken = true
  }

  /** Resolves when everything told is written, or refused. */
  async written(): Promise<void> {
    this.#send()
    await this.#last
  }

  /** What else is told in this turn of the event loop goes along. */
  #sendSoon(): void {
    if (this.#isSending) return
    this.#isSending = true
    queueMicrotask(() => this.#send())
  }

  #send(): void {
    this.#isSending = false
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#items.length === 0) return
    const batch = this.#items
    this.#items = []
    this.#sentAt = performance.now()
    const index = this.#next
    this.#next += 1
    const { runId, callId } = this.#ticket
    const ends = batch.at(-1)![0] === 'end' ? '1' : '0'
    // One after the other without waiting: the connection keeps the order.
    const sent = this.#redis
      .call('tellNews', runId, callId, this.#claim, JSON.stringify(batch), ends, index)
      .then(([answer]) => {
        if (answer !== 'ok') this.#refused()
      })
    this.#last = Promise.all([this.#last, sent]).then(() => undefined)
  }
}
