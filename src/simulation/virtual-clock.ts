import type { Clock, Nanoseconds } from '../core/clock.ts'
import { nsToMs } from '../core/clock.ts'

interface Timer {
  readonly at: Nanoseconds
  readonly order: number
  readonly wake: () => void
}

/**
 * A clock that stands still until it is moved. Timers fire in the order of their instants, those of one instant in the order in
 * which they were set; promises that a timer resolves run before the next timer, so chains of timers cascade as in real time.
 */
export class VirtualClock implements Clock {
  #now = 0
  #order = 0
  readonly #timers = new Set<Timer>()
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
    const timer = { at, order: this.#order++, wake }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers not yet fired. */
  get pending(): number {
    return this.#timers.size
  }

  /** Moves time forward to the next timer and fires it. False when there is none. */
  async step(limit: Nanoseconds = Number.POSITIVE_INFINITY): Promise<boolean> {
    await settlePromises()
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    if (next === undefined || next.at > limit) return false
    this.#timers.delete(next)
    this.#now = Math.max(this.#now, next.at)
    next.wake()
    await settlePromises()
    return true
  }

  /** Moves time forward by `ns`, firing what comes due on the way. */
  async advance(ns: Nanoseconds): Promise<void> {
    const end = this.#now + ns
    while (await this.step(end));
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
      if (!(await this.step()) && !settled)
        throw new Error('virtual time stands still: no timer is left, and the promise is pending')
    }
  }
}

/** Lets every promise that can go on now do so: the macrotask comes after all microtasks. */
const settlePromises = () => new Promise<void>((resolve) => setImmediate(resolve))
