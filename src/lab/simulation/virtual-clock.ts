import TinyQueue from 'tinyqueue'
import type { Clock, Nanoseconds } from '../../core/clock.ts'
import { nsToMs } from '../../core/clock.ts'

interface Timer {
  readonly at: Nanoseconds
  readonly order: number
  readonly wake: () => void
  /** It has fired, or was withdrawn: then it stays in the heap until its turn. */
  isOver: boolean
}

const sooner = (a: Timer, b: Timer): number => a.at - b.at || a.order - b.order

/**
 * A clock that stands still until it is moved. Timers fire in the order of their instants, those of one instant in the order in
 * which they were set; promises that a timer resolves run before the next timer, so chains of timers cascade as in real time.
 */
export class VirtualClock implements Clock {
  #now = 0
  #order = 0
  #timers = new TinyQueue<Timer>([], sooner)
  #pending = 0
  readonly #wallAtStart: number

  /** @param wallAtStart ms since 1970 that `wall` starts at. */
  constructor(wallAtStart = Date.UTC(2026, 0, 1)) {
    this.#wallAtStart = wallAtStart
  }

  now(): Nanoseconds {
    return this.#now
  }

  wall(): number {
    return this.#wallAtStart + nsToMs(this.#now)
  }

  schedule(at: Nanoseconds, wake: () => void): () => void {
    const timer: Timer = { at, order: this.#order++, wake, isOver: false }
    this.#timers.push(timer)
    this.#pending += 1
    return () => this.#end(timer)
  }

  /** Timers not yet fired. */
  get pending(): number {
    return this.#pending
  }

  /** Moves time forward to the next timer and fires it. False when there is none until `limit`. */
  async step(limit: Nanoseconds = Number.POSITIVE_INFINITY): Promise<boolean> {
    await settlePromises()
    const hasFired = this.#fire(limit)
    if (hasFired) await settlePromises()
    return hasFired
  }

  /** Moves time forward by `ns`, firing what comes due on the way. */
  async advance(ns: Nanoseconds): Promise<void> {
    const end = this.#now + ns
    // One turn of the event loop a step: what a timer resolves goes on before the next one fires.
    do await settlePromises()
    while (this.#fire(end))
    this.#now = end
  }

  /** Fires timers until `done` resolves; throws when nothing is left that could resolve it. */
  async until<T>(done: Promise<T>): Promise<T> {
    let settled = false
    const mark = () => {
      settled = true
    }
    done.then(mark, mark)
    for (;;) {
      await settlePromises()
      if (settled) return done
      if (!this.#fire(Number.POSITIVE_INFINITY))
        throw new Error('virtual time stands still: no timer is left, and the promise is pending')
    }
  }

  #fire(limit: Nanoseconds): boolean {
    while (this.#timers.peek()?.isOver) this.#timers.pop()
    const next = this.#timers.peek()
    if (next === undefined || next.at > limit) return false
    this.#timers.pop()
    this.#end(next)
    this.#now = Math.max(this.#now, next.at)
    next.wake()
    return true
  }

  /** What was withdrawn lies in the heap until its turn comes, or until it is the larger part of it. */
  #end(timer: Timer): void {
    if (timer.isOver) return
    timer.isOver = true
    this.#pending -= 1
    if (this.#timers.length < 64 || this.#timers.length < 2 * this.#pending) return
    this.#timers = new TinyQueue(
      this.#timers.data.filter(({ isOver }) => !isOver),
      sooner,
    )
  }
}

/** Lets every promise that can go on now do so: the macrotask comes after all microtasks. */
const settlePromises = () => new Promise<void>((resolve) => setImmediate(resolve))
