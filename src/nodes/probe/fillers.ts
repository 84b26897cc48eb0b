import { msToNs } from '../../core/clock.ts'
import type { Flight, Line } from './line.ts'
import { patience, wedged } from './patience.ts'
import { shortPrompt, talkPrompt } from './prompts.ts'
import { medianOf } from './samples.ts'

/** An answer that shall not end by itself; a model may end it all the same. */
const ENDLESS_TOKENS = 2_048

/**
 * Calls that keep all slots but one busy, so that a call after an abort has to wait for the slot of the aborted one. They run
 * on from one measurement to the next: ending them would be an abort as well, and its lag would be taken for what is measured.
 */
export class Fillers {
  readonly #line: Line
  readonly #tokenInterval: readonly number[]
  #running: Flight[] = []
  #started = 0
  #abandonedMs = 0

  /** `tokenInterval`: ms from a token to the next, as far as measured. */
  constructor(line: Line, tokenInterval: readonly number[]) {
    this.#line = line
    this.#tokenInterval = tokenInterval
  }

  /** A call was aborted, and no other was seen to get its slot: the server may go on with it for so long. */
  abandon(ms: number): void {
    this.#abandonedMs = ms
  }

  /**
   * Brings them to `count`, with nothing abandoned beside them: a call that waited for its slot would be a wrong measure of an
   * idle server. `expectedMs`: how long one may have to wait for its slot. Throws `CAESURA_E_SERVER_WEDGED`.
   */
  async keep(count: number, expectedMs: number): Promise<void> {
    if (this.#abandonedMs === 0) return this.#fill(count, expectedMs)
    // Mostly because one of ours had ended: the next measurement needs ones that have long to go. They may run on as well.
    if (this.#running.length > 0) {
      await this.#line.clear(this.#running)
      this.#abandonedMs += ENDLESS_TOKENS * (medianOf(this.#tokenInterval) ?? 0)
    }
    await this.#fill(count, expectedMs + this.#abandonedMs)
    // It gets the one slot that is left, and so only when that is free; unless one of ours has ended meanwhile.
    const until = this.#line.clock.now() + msToNs(this.#abandonedMs)
    const bound = patience(expectedMs + this.#abandonedMs)
    const flight = this.#line.start(shortPrompt())
    if (!(await this.#line.begins(flight, bound))) throw wedged(bound)
    await this.#line.answer(flight)
    if (this.someOver) {
      await this.#line.until(until)
      await this.#fill(count, expectedMs)
    }
    this.#abandonedMs = 0
  }

  async #fill(count: number, expectedMs: number): Promise<void> {
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
