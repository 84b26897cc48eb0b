import type { CallEnd, CallRequest } from '../core/call.ts'
import type { Nanoseconds } from '../core/clock.ts'
import type { ExecutionObserver } from '../core/ports.ts'
import type { FleetClock } from './fleet-clock.ts'
import type { NewsBatch } from './news.ts'

/** A call that a worker somewhere makes, as its run sees it: takes the worker's news in order, each batch once. */
export class RemoteCall {
  readonly request: CallRequest
  readonly end: Promise<CallEnd>
  /** Where its ticket lies; undefined while no node is known that takes it. */
  queue: string | undefined
  /** A worker has begun with it. */
  placed = false
  /** The node of that worker. */
  node: string | undefined
  /** That worker. */
  worker: string | undefined
  /** When it was last put into a queue or offered to a worker, ms of the process. */
  issuedAt = 0
  /** A worker was asked to take it without a ticket. */
  isOffered = false
  /** It stands in Redis. */
  isOpened = false
  /** Its run knows that it is to stop. */
  isStopped = false
  /** When it was told to stop, ms of the process. */
  stoppedAt: number | undefined
  /** No node takes it: it waits for one, and not for ever. */
  isHomeless = false
  readonly #clock: FleetClock
  readonly #observer: ExecutionObserver
  #resolve!: (end: CallEnd) => void
  #next = 0
  #lastAt: Nanoseconds
  #settled = false

  constructor(request: CallRequest, clock: FleetClock, observer: ExecutionObserver, notBefore: Nanoseconds) {
    this.request = request
    this.#clock = clock
    this.#observer = observer
    this.#lastAt = notBefore
    this.end = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  get settled(): boolean {
    return this.#settled
  }

  /** The index of the batch that comes next. */
  get next(): number {
    return this.#next
  }

  /** Its ticket is about to lie in a queue. */
  queued(): void {
    this.issuedAt = performance.now()
    this.#observer.mark('queued')
  }

  /** Takes a batch. False where an earlier one is missing: it is to be read from where the news are kept. */
  feed(index: number, batch: NewsBatch): boolean {
    if (index > this.#next) return false
    if (this.#settled) return true
    if (index < this.#next) {
      // News that were kept are gone, and the end has the number of one of them.
      const end = batch.find((item) => item[0] === 'end')
      if (end?.[0] === 'end') this.settle(end[1])
      return true
    }
    this.#next += 1
    for (const item of batch) {
      switch (item[0]) {
        case 'placed':
          this.placed = true
          this.node = item[1].name
          this.worker = item[2]
          this.#observer.placed(item[1])
          break
        case 'mark':
          this.#observer.mark(item[1], this.#at(item[2]))
          break
        case 'token':
          this.#observer.token(item[2], this.#at(item[1]))
          break
        case 'thinking':
          this.#observer.thinking(item[2], this.#at(item[1]))
          break
        case 'tool-call':
          this.#observer.toolCall?.(item[2], this.#at(item[1]))
          break
        case 'late':
          this.#observer.late?.(item[1])
          break
        case 'end':
          this.settle(item[1])
          break
      }
    }
    return true
  }

  settle(end: CallEnd): void {
    if (this.#settled) return
    this.#settled = true
    this.#resolve(end)
  }

  /** The worker's instant on our clock: the scales may differ a little, but no news come from the future, or out of order. */
  #at(ms: number): Nanoseconds {
    this.#lastAt = Math.min(Math.max(this.#clock.fromFleet(ms), this.#lastAt), this.#clock.now())
    return this.#lastAt
  }
}
