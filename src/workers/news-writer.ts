import type { GroupWriter } from './group-writer.ts'
import type { NewsItem } from './news.ts'
import type { CallTicket } from './ticket-queues.ts'

/** The news of a call go in writes that are at least so far apart, ms; the first token and the end wait for nothing. */
export const COALESCE_MS = 8

/**
 * Writes the news of a call: the first token and the end at once, what comes between at once too or, where it comes fast, together.
 * In order and each once, also over a lost connection, for every batch says which one it is. While Redis is gone it keeps what comes.
 */
export class NewsWriter {
  readonly #group: GroupWriter
  readonly #ticket: CallTicket
  readonly #claim: string
  readonly #refused: () => void
  #items: NewsItem[] = []
  #next = 0
  #timer: NodeJS.Timeout | undefined
  #hasToken = false
  /** What was told goes along with a write that is asked for already. */
  #isAsked = false
  /** ms; the first marks wait for what follows them. */
  #sentAt = performance.now()
  #last: Promise<void> = Promise.resolve()

  /** `group`: of all calls of this worker. `refused`: the call is not ours any more. */
  constructor(group: GroupWriter, ticket: CallTicket, claim: string, refused: () => void) {
    this.#group = group
    this.#ticket = ticket
    this.#claim = claim
    this.#refused = refused
  }

  tell(item: NewsItem): void {
    this.#items.push(item)
    if (item[0] === 'end' || (item[0] === 'token' && !this.#hasToken)) this.#send()
    else {
      const sinceMs = performance.now() - this.#sentAt
      if (sinceMs >= COALESCE_MS) this.#send()
      else this.#timer ??= setTimeout(() => this.#send(), COALESCE_MS - sinceMs)
    }
    if (item[0] === 'token') this.#hasToken = true
  }

  /** Resolves when everything told is written, or refused. */
  async written(): Promise<void> {
    this.#send()
    await this.#last
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#items.length === 0 || this.#isAsked) return
    this.#isAsked = true
    this.#last = this.#group.write({ parameters: () => this.#take() }).then(
      ([answer]) => {
        if (answer !== 'ok') this.#refused()
      },
      // Redis would not take it: what follows would leave a gap.
      () => this.#refused(),
    )
  }

  #take(): readonly (string | number)[] {
    this.#isAsked = false
    const batch = this.#items
    this.#items = []
    this.#sentAt = performance.now()
    const index = this.#next
    this.#next += 1
    const { runId, callId } = this.#ticket
    return [runId, callId, this.#claim, JSON.stringify(batch), batch.at(-1)![0] === 'end' ? '1' : '0', index]
  }
}
