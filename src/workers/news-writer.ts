import type { NewsItem } from './news.ts'
import type { FleetRedis } from './redis.ts'
import type { CallTicket } from './ticket-queues.ts'

/** The longest that a token after the first waits for others to go with it, ms. */
export const COALESCE_MS = 8

/**
 * Writes the news of a call: the first token and the end at once, what comes between together. In order and each once, also over a
 * lost connection, for every batch says which one it is. While Redis is gone it keeps what comes.
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
    else this.#timer ??= setTimeout(() => this.#send(), COALESCE_MS)
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
