import { CaesuraError } from '../../core/errors.ts'
import type { KeptRun } from './kept-run.ts'

/** How many runs go on at once, and how many may wait to begin. */
export interface HostLimits {
  /** Runs that go on at once; 500 by default. */
  readonly runs: number
  /** Runs that may wait for one of those to end; 20,000 by default. */
  readonly maxWaiting: number
}

export const defaultHostLimits: HostLimits = { runs: 500, maxWaiting: 20_000 }

/** Whose turn it is to begin: the smallest place first, then the one that came first. */
export class Turns {
  readonly #limits: HostLimits
  readonly #begin: (run: KeptRun) => void
  #going = 0
  #isClosed = false
  readonly #waiting: { readonly run: KeptRun; readonly place: number }[] = []

  constructor(limits: HostLimits, begin: (run: KeptRun) => void) {
    this.#limits = limits
    this.#begin = begin
  }

  get going(): number {
    return this.#going
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Throws `CAESURA_E_FLEET_FULL` where one more run would have to wait and may not. */
  check(): void {
    const { runs, maxWaiting } = this.#limits
    if (this.#going < runs || this.#waiting.length < maxWaiting) return
    throw new CaesuraError('CAESURA_E_FLEET_FULL', `${this.#waiting.length} runs wait to begin: no more may`, {
      received: String(this.#waiting.length),
      expected: `fewer than ${maxWaiting}`,
      hint: 'Come back later, or let more runs go on at once: serve --runs.',
    })
  }

  /** Begins it now, or when it is its turn. */
  add(run: KeptRun, place: number): void {
    if (this.#going < this.#limits.runs) {
      this.#start(run)
      return
    }
    let at = this.#waiting.length
    while (at > 0 && this.#waiting[at - 1]!.place > place) at -= 1
    this.#waiting.splice(at, 0, { run, place })
  }

  /** Begins one that waits, whoever's turn it is. Does nothing where it does not wait. */
  ahead(run: KeptRun): void {
    const at = this.#waiting.findIndex((each) => each.run === run)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    this.#start(run)
  }

  /** One that had begun has ended. */
  left(): void {
    this.#going -= 1
    if (this.#isClosed) return
    while (this.#going < this.#limits.runs && this.#waiting.length > 0) this.#start(this.#waiting.shift()!.run)
  }

  /** What waits begins by `ahead` only from now on. */
  close(): void {
    this.#isClosed = true
  }

  #start(run: KeptRun): void {
    this.#going += 1
    this.#begin(run)
  }
}
