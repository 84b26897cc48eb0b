import { CaesuraError } from '../../core/errors.ts'
import type { Fleet } from '../../core/fleet.ts'

/** Redis is away when it does not answer for so long, ms; a client hears of it within a second. */
const AWAY_MS = 600
/** How often it is looked at while a call waits, and how long that may take, ms. */
const LOOK_MS = 400
const LOOK_AWAY_MS = 400
/** The longest that a call may take while Redis answers, ms. */
const CALL_MS = 10_000

/** The fleet, with an end to every wait: what it is asked while Redis is away fails with `CAESURA_E_REDIS`. */
export class ReachableFleet {
  readonly fleet: Fleet
  readonly #observe: (ms: number) => void
  #pinging: Promise<void> | undefined

  /** `observe` hears of each round trip to Redis, ms. */
  constructor(fleet: Fleet, observe: (ms: number) => void) {
    this.fleet = fleet
    this.#observe = observe
  }

  /** Throws `CAESURA_E_REDIS`, and what the call throws. */
  async ask<T>(call: (fleet: Fleet) => Promise<T>): Promise<T> {
    const answer = await this.askFor(CALL_MS, call)
    if (answer === undefined) throw new CaesuraError('CAESURA_E_REDIS', 'Redis takes too long')
    return answer.value
  }

  /** As `ask`; undefined when there is no answer within `limitMs` though Redis is there. The call may still take effect. */
  async askFor<T>(limitMs: number, call: (fleet: Fleet) => Promise<T>): Promise<{ value: T } | undefined> {
    // What is asked while Redis is away would be done when it is back, and nobody would know.
    await this.ping(AWAY_MS)
    const until = performance.now() + limitMs
    const answer = call(this.fleet).then((value) => ({ value }))
    answer.catch(() => undefined)
    for (;;) {
      const left = until - performance.now()
      if (left <= 0) return undefined
      const found = await Promise.race([answer, later(Math.min(LOOK_MS, left))])
      if (found !== undefined) return found
      await this.ping(LOOK_AWAY_MS)
    }
  }

  /** One at a time, whoever asks: while Redis is away each one waits in the client. Throws `CAESURA_E_REDIS`. */
  ping(limitMs: number): Promise<void> {
    this.#pinging ??= this.#ping(limitMs).finally(() => {
      this.#pinging = undefined
    })
    return this.#pinging
  }

  async #ping(limitMs: number): Promise<void> {
    try {
      this.#observe(await this.fleet.ping(limitMs))
    } catch (cause) {
      if (cause instanceof CaesuraError) throw cause
      throw new CaesuraError('CAESURA_E_REDIS', 'Redis does not answer', { cause })
    }
  }
}

const later = (ms: number): Promise<undefined> => new Promise((resolve) => setTimeout(() => resolve(undefined), ms))
