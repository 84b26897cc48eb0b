/** How long a node is known after its worker's last sign of life, ms; it gives one four times as often. */
export const ALIVE_MS = 2000

/** So long before its entry ends a worker does not count on it any more, ms: it takes a while to begin with something. */
const MARGIN_MS = 500

/**
 * What a worker knows of its own entry in the fleet's list: while that stands, what the worker was given is nobody else's. A *term* is a time
 * in which the entry certainly never ended. A worker that was stopped for a while finds here that its term is over: what it was given in
 * it may be another's by now. Reads a clock that goes on while the process is stopped.
 */
export class Lease {
  readonly #now: () => number
  #term = 0
  #isOver = true
  /** When the last sign of life that was taken had been sent, ms. */
  #renewedAt = Number.NEGATIVE_INFINITY

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** The present term: whatever is given to the worker from now on belongs to it. */
  get term(): number {
    this.#look()
    return this.#term
  }

  /** A sign of life was taken. `sentAt`: when it was sent, ms. */
  renew(sentAt: number): void {
    this.#look()
    this.#renewedAt = Math.max(this.#renewedAt, sentAt)
    this.#isOver = !this.#isSure
  }

  /** Whether what was given to the worker in this term is still its own. */
  holds(term: number): boolean {
    this.#look()
    return !this.#isOver && term === this.#term
  }

  get #isSure(): boolean {
    return this.#now() - this.#renewedAt < ALIVE_MS - MARGIN_MS
  }

  #look(): void {
    if (this.#isOver || this.#isSure) return
    this.#isOver = true
    this.#term += 1
  }
}
