import type { CallEnd } from '../core/call.ts'
import type { ErrorCode } from '../core/errors.ts'

/**
 * Faults of a node, and not of the call: another call would meet them too. A backend says so where such a fault is of one answer alone
 * (`ofAnswer`): a line of another shape behind good ones, a model that repeats itself. That a server reports odd figures is no fault.
 */
const nodeFaults: ReadonlySet<ErrorCode> = new Set([
  'CAESURA_E_REFUSED',
  'CAESURA_E_CONNECTION',
  'CAESURA_E_SERVER',
  'CAESURA_E_SERVER_WEDGED',
  'CAESURA_E_AUTH',
  'CAESURA_E_PROTOCOL',
  'CAESURA_E_STREAM_CUT',
  'CAESURA_E_TIMEOUT_LOAD',
] satisfies ErrorCode[])

/** Failures in a row after which a node takes no calls. */
const MOST_FAILURES = 3
/** How long it then takes none before one call may try, ms; doubles with each that fails too, up to a minute. */
const FIRST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 60_000

/**
 * Whether a node may take calls (a circuit breaker; Nygard, Release It!, 2007). `closed`: yes. `open`: no, its last calls failed.
 * `half-open`: one, to see.
 */
export class NodeHealth {
  #failures = 0
  #pauseMs = FIRST_PAUSE_MS
  #openUntil: number | undefined
  #isTrying = false
  reason = ''

  /** `now` in ms. */
  state(now: number): 'closed' | 'open' | 'half-open' {
    if (this.#openUntil === undefined) return 'closed'
    return now < this.#openUntil || this.#isTrying ? 'open' : 'half-open'
  }

  /** A call begins: in `half-open` it is the one that tries. */
  noteStart(now: number): void {
    if (this.state(now) === 'half-open') this.#isTrying = true
  }

  /** A call has ended. One that was cancelled says nothing. */
  noteEnd(end: CallEnd, now: number): void {
    const { error } = end
    if (end.end === 'failed' && error !== undefined && nodeFaults.has(error.code) && !end.ofAnswer) {
      this.#failures += 1
      this.#isTrying = false
      if (this.#failures < MOST_FAILURES && this.#openUntil === undefined) return
      if (this.#openUntil !== undefined) this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
      this.#openUntil = now + this.#pauseMs
      this.reason = `${this.#failures} calls failed in a row (${error.code})`
      return
    }
    if (end.end === 'cancelled') {
      this.#isTrying = false
      return
    }
    this.#failures = 0
    this.#pauseMs = FIRST_PAUSE_MS
    this.#openUntil = undefined
    this.#isTrying = false
    this.reason = ''
  }
}
