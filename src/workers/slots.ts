/** The slots of a node, shared by the tickets of its pool and those that want this node. First come, first served. */
export class Slots {
  readonly size: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(size: number) {
    this.size = size
    this.#free = size
  }

  get busy(): number {
    return this.size - this.#free
  }

  /** Those that wait for a slot. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes a slot where one is free. */
  tryTake(): boolean {
    if (this.#free === 0 || this.#waiting.length > 0) return false
    this.#free -= 1
    return true
  }

  /** Waits for a slot; false where the signal came first. */
  async take(signal: AbortSignal): Promise<boolean> {
    if (this.tryTake()) return true
    return new Promise((resolve) => {
      const start = () => {
        signal.removeEventListener('abort', giveUp)
        resolve(true)
      }
      const giveUp = () => {
        const index = this.#waiting.indexOf(start)
        if (index === -1) return
        this.#waiting.splice(index, 1)
        resolve(false)
      }
      this.#waiting.push(start)
      signal.addEventListener('abort', giveUp, { once: true })
      if (signal.aborted) giveUp()
    })
  }

  /** Gives a slot back; the one that waits longest has it at once. */
  release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
