import { serverBusy } from './refusal.ts'

/** The calls that a server works on at once. The others wait, first come, first served. */
export class CallSlots {
  readonly size: number
  readonly #queue: number
  readonly #waiting = new Set<() => void>()
  #free: number

  /** At most `queue` calls wait. */
  constructor(slots: number, queue: number) {
    this.size = slots
    this.#free = slots
    this.#queue = queue
  }

  get busy(): number {
    return this.size - this.#free
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Resolves to true when a slot is the caller's, to false as soon as the signal is aborted. Throws a `Refusal` (503) when too many wait. */
  async take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false
    if (this.#free > 0) {
      this.#free -= 1
      return true
    }
    if (this.#waiting.size >= this.#queue) throw serverBusy()
    return new Promise((resolve) => {
      const start = () => {
        signal.removeEventListener('abort', giveUp)
        resolve(true)
      }
      const giveUp = () => {
        this.#waiting.delete(start)
        resolve(false)
      }
      this.#waiting.add(start)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Gives a slot back: to the call that has waited longest, if one waits. */
  release(): void {
    for (const start of this.#waiting) {
      this.#waiting.delete(start)
      start()
      return
    }
    this.#free += 1
  }
}
