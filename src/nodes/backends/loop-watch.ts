import { type Nanoseconds, systemClock } from '../../core/clock.ts'

/** How often the watch looks, ms. A delay shorter than two of them is not told. */
const EVERY_MS = 10
const LATE_NS = 2 * EVERY_MS * 1_000_000
/** What is read so soon behind a look that came late may have waited as long as that, ns. */
const BEHIND_NS = EVERY_MS * 1_000_000

/**
 * Tells how long what is read now may have lain here unread, because this process did something else or was not given the processor.
 * One timer for all that look at it, and none while nobody does.
 */
export class LoopWatch {
  #users = 0
  #timer: NodeJS.Timeout | undefined
  #lookedAt: Nanoseconds = 0
  #before: Nanoseconds = 0

  /** Begins to look. Returns what ends it. */
  watch(): () => void {
    this.#users += 1
    if (this.#timer === undefined) {
      this.#lookedAt = this.#before = systemClock.now()
      this.#timer = setInterval(() => this.#look(), EVERY_MS).unref()
    }
    let watches = true
    return () => {
      if (!watches) return
      watches = false
      this.#users -= 1
      if (this.#users > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** At most so late is what is read now, ns; 0 where it is not late. */
  get lateNs(): Nanoseconds {
    const sinceNs = systemClock.now() - this.#lookedAt
    // Timers come before what was received, unless the delay was among what was received.
    const delayNs = sinceNs <= BEHIND_NS ? sinceNs + this.#lookedAt - this.#before : sinceNs
    return this.#timer === undefined || delayNs < LATE_NS ? 0 : delayNs
  }

  #look(): void {
    this.#before = this.#lookedAt
    this.#lookedAt = systemClock.now()
  }
}

/** Of this process. */
export const loopWatch = new LoopWatch()
