import type { Clock, Nanoseconds } from '../core/clock.ts'

/**
 * Wakes once, at the instant that was set last. To put it off costs no timer: the one that runs looks at that instant when it
 * fires, and waits for the rest. So it may be set at each token.
 */
export class Alarm {
  readonly #clock: Clock
  readonly #wake: () => void
  #due: Nanoseconds = 0
  /** When the timer fires that runs. */
  #armedFor: Nanoseconds | undefined
  #withdraw: (() => void) | undefined

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  /** `at`: on the clock's scale. */
  set(at: Nanoseconds): void {
    this.#due = at
    if (this.#armedFor !== undefined && this.#armedFor <= at) return
    this.clear()
    this.#arm()
  }

  clear(): void {
    this.#withdraw?.()
    this.#armedFor = undefined
  }

  #arm(): void {
    this.#armedFor = this.#due
    this.#withdraw = this.#clock.schedule(this.#due, () => {
      this.#armedFor = undefined
      if (this.#due > this.#clock.now()) this.#arm()
      else this.#wake()
    })
  }
}
