import type { Flight, Line } from './line.ts'
import { patience, wedged } from './patience.ts'
import { talkPrompt } from './prompts.ts'

/** An answer that shall not end by itself; a model may end it all the same. */
const ENDLESS_TOKENS = 2_048

/**
 * Calls that keep all slots but one busy, so that a call after an abort has to wait for the slot of the aborted one. They run
 * on from one measurement to the next: ending them would be an abort as well, and its lag would be taken for what is measured.
 */
export class Fillers {
  readonly #line: Line
  #running: Flight[] = []
  #started = 0

  constructor(line: Line) {
    this.#line = line
  }

  /** Brings them to `count`. `expectedMs`: how long one may have to wait for its slot. Throws `CAESURA_E_SERVER_WEDGED`. */
  async keep(count: number, expectedMs: number): Promise<void> {
    this.#running = this.#running.filter((flight) => !flight.isOver)
    while (this.#running.length < count) {
      this.#started += 1
      const flight = this.#line.start(talkPrompt(ENDLESS_TOKENS, this.#started))
      this.#running.push(flight)
      if (!(await this.#line.begins(flight, patience(expectedMs)))) throw wedged(patience(expectedMs))
    }
  }

  /** Whether one has ended since: its slot may have been taken by the call that looked for a free one. */
  get someOver(): boolean {
    return this.#running.some((flight) => flight.isOver)
  }
}
