import type { CallEnd, CallRequest, Settlement } from './call.ts'
import type { Nanoseconds } from './clock.ts'
import { Ledger } from './ledger.ts'
import type { WarmOutcome } from './ports.ts'

/** All that is known of one call: what was asked, what came, when, and how it ended. Instants are ns from the run's start. */
export class Transcript {
  readonly request: CallRequest
  readonly ledger = new Ledger()
  node?: string
  backend?: string
  end?: CallEnd
  settlement?: Settlement
  /** What was done ahead for the next stage while this call ran. */
  warmed?: { readonly model: string } & WarmOutcome
  /** What its prompt was filled in with: what is known of the next stage's prompt while it runs. */
  scope?: Readonly<Record<string, unknown>>
  /** Whether an interrupt came that was not a false one. */
  interrupted = false
  /** Whether a response listens to tokens and sentence ends. */
  listening = false
  /** Pieces that were generated while delivery was paused; absent while it is not. */
  held: string[] | undefined
  #text = ''
  /** The length of the text after each piece, and when the piece came. */
  readonly #ends: number[] = []
  readonly #times: Nanoseconds[] = []
  #kept = 0

  constructor(request: CallRequest) {
    this.request = request
  }

  get text(): string {
    return this.#text
  }

  /** Pieces received: one a token for most servers. */
  get pieces(): number {
    return this.#ends.length
  }

  /** The part of the text that stands. */
  get keptText(): string {
    return this.#text.slice(0, this.#kept)
  }

  get lastTokenAt(): Nanoseconds | undefined {
    return this.#times.at(-1)
  }

  append(text: string, at: Nanoseconds): void {
    this.#text += text
    this.#ends.push(this.#text.length)
    this.#times.push(at)
  }

  /** States that the first `characters` of the text stand. Never less than was said before: what stood is not taken back. */
  keep(characters: number): void {
    this.#kept = Math.max(this.#kept, characters)
  }

  /** Nothing of the text stands any more. */
  withdraw(): void {
    this.#kept = 0
  }

  /** The pieces of which anything stands, and when the last of them came. */
  get used(): { readonly pieces: number; readonly lastAt?: Nanoseconds } {
    return this.usedUpTo(this.#kept)
  }

  /** The same, if the first `characters` of the text stood. */
  usedUpTo(characters: number): { readonly pieces: number; readonly lastAt?: Nanoseconds } {
    let pieces = 0
    while (pieces < this.#ends.length && (pieces === 0 ? 0 : this.#ends[pieces - 1]!) < characters) pieces += 1
    return pieces === 0 ? { pieces } : { pieces, lastAt: this.#times[pieces - 1]! }
  }
}
