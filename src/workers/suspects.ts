/** How long a suspect is watched before the next one is taken up, ms: what kills its host does so at once. */
const WATCH_MS = 1000

/**
 * Runs whose owners died again and again, without getting on, are taken up one at a time: so it shows which of them it was. The others wait
 * for their turn, which is not counted against them.
 */
export class Suspects {
  #last: Promise<void> = Promise.resolve()

  /** Resolves when it is this run's turn; the next one's comes after `WATCH_MS`. */
  async turn(): Promise<void> {
    const before = this.#last
    let done: () => void = () => undefined
    this.#last = new Promise((resolve) => {
      done = resolve
    })
    await before
    setTimeout(done, WATCH_MS).unref()
  }
}
