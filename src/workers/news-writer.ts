import type { GroupWriter } from './group-writer.ts'
import type { NewsItem } from './news.ts'
import type { CallTicket } from './ticket-queues.ts'

/** The news of a call go in writes that are at least so far apart, ms; the first piece and the end wait for nothing. */
export const COALESCE_MS = 8

/** How many items, and characters of them, one write takes. */
const MOST_ITEMS = 256
const MOST_CHARACTERS = 131_072
/** How many characters may wait for a Redis that takes nothing before the call is given up. */
const MOST_KEPT = 8 * 1_048_576
/** An item that is no text counts as so many characters. */
const ITEM_CHARACTERS = 32

/** Why a call can't go on for its writer. */
export type WriteFault = 'refused' | 'too much waits'

/**
 * Writes the news of a call: the first piece and the end at once, what comes between at once too or, where it comes fast, together.
 * In order and each once, also over a lost connection and a Redis that refuses writes for a while: every batch says which one it is, and
 * the next one waits for it. While Redis takes nothing this keeps what comes, up to a bound.
 */
export class NewsWriter {
  readonly #group: GroupWriter
  readonly #ticket: CallTicket
  readonly #claim: string
  readonly #failed: (fault: WriteFault) => void
  #items: NewsItem[] = []
  #characters = 0
  #next = 0
  #timer: NodeJS.Timeout | undefined
  #hasPiece = false
  /** ms; the first marks wait for what follows them. */
  #sentAt = performance.now()
  /** The write under way. */
  #writing: Promise<void> | undefined
  /** What was told meanwhile does not wait for its time. */
  #isUrgent = false
  #isTooMuch = false
  #isOver = false

  /** `group`: of all calls of this worker. `failed`: the call is not ours any more, or Redis has taken nothing for too long. At most once. */
  constructor(group: GroupWriter, ticket: CallTicket, claim: string, failed: (fault: WriteFault) => void) {
    this.#group = group
    this.#ticket = ticket
    this.#claim = claim
    this.#failed = failed
  }

  tell(item: NewsItem): void {
    if (this.#isOver) return
    const ends = item[0] === 'end'
    if (this.#characters > MOST_KEPT && !ends) {
      // From here on something is missing: only the end is told, and it is a failure.
      if (!this.#isTooMuch) this.#failed('too much waits')
      this.#isTooMuch = true
      return
    }
    this.#items.push(item)
    this.#characters += sizeOf(item)
    const isPiece = item[0] === 'token' || item[0] === 'thinking' || item[0] === 'tool-call'
    if (ends || (isPiece && !this.#hasPiece)) this.#send()
    else if (this.#writing === undefined) {
      const sinceMs = performance.now() - this.#sentAt
      if (sinceMs >= COALESCE_MS) this.#send()
      else this.#timer ??= setTimeout(() => this.#send(), COALESCE_MS - sinceMs)
    }
    if (isPiece) this.#hasPiece = true
  }

  /** Resolves when everything told is written, or refused. */
  async written(): Promise<void> {
    while (this.#items.length > 0 && !this.#isOver) {
      this.#send()
      await this.#writing
    }
    await this.#writing
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#writing !== undefined) {
      this.#isUrgent = true
      return
    }
    if (this.#items.length === 0 || this.#isOver) return
    this.#isUrgent = false
    this.#writing = this.#group
      .write({ parameters: () => this.#take() })
      .then(
        ([answer]) => answer === 'ok',
        () => false,
      )
      .then((isWritten) => {
        this.#writing = undefined
        if (!isWritten) return this.#refuse()
        if (this.#items.length === 0) return
        if (this.#isUrgent || this.#items.length >= MOST_ITEMS) return this.#send()
        this.#timer ??= setTimeout(() => this.#send(), COALESCE_MS)
      })
  }

  #refuse(): void {
    this.#isOver = true
    this.#items = []
    this.#characters = 0
    this.#failed('refused')
  }

  #take(): readonly (string | number)[] {
    let [count, characters] = [0, 0]
    while (count < this.#items.length && count < MOST_ITEMS && characters < MOST_CHARACTERS) {
      characters += sizeOf(this.#items[count]!)
      count += 1
    }
    const batch = this.#items.slice(0, count)
    this.#items = this.#items.slice(count)
    this.#characters -= characters
    if (this.#items.length > 0) this.#isUrgent = true
    this.#sentAt = performance.now()
    const index = this.#next
    this.#next += 1
    const { runId, callId } = this.#ticket
    return [runId, callId, this.#claim, JSON.stringify(batch), batch.at(-1)![0] === 'end' ? '1' : '0', index]
  }
}

function sizeOf(item: NewsItem): number {
  if (item[0] === 'token' || item[0] === 'thinking') return ITEM_CHARACTERS + item[2].length
  return ITEM_CHARACTERS + (item[0] === 'tool-call' ? JSON.stringify(item[2]).length : 0)
}
