/** Turns tokens to text. `before` are the tokens in front of them: some vocabularies write a space differently there. */
export type Detokenize<T> = (tokens: readonly T[], before: readonly T[]) => string

/** What an unfinished character decodes to. */
const REPLACEMENT = '\uFFFD'
/** No character is longer in UTF-8, so no more tokens can be waiting for one. */
const LONGEST_CHARACTER_BYTES = 4
/** How many tokens in front of a piece a detokenizer needs to see. */
const CONTEXT_TOKENS = 3

/** Text of tokens that come one by one: a token that ends inside a character is held until the character is complete. */
export class TokenText<T> {
  readonly #detokenize: Detokenize<T>
  #before: T[]
  #held: T[] = []

  /** `before`: the tokens of the prompt, of which the last few count. */
  constructor(detokenize: Detokenize<T>, before: readonly T[] = []) {
    this.#detokenize = detokenize
    this.#before = before.slice(-CONTEXT_TOKENS)
  }

  /** The text that is complete with this token; empty while a character is not. */
  push(token: T): string {
    this.#held.push(token)
    const text = this.#detokenize(this.#held, this.#before)
    if (text.endsWith(REPLACEMENT) && this.#held.length < LONGEST_CHARACTER_BYTES) return ''
    this.#before = [...this.#before, ...this.#held].slice(-CONTEXT_TOKENS)
    this.#held = []
    return text
  }
}

/** Looks for stop sequences in text that comes in pieces. What may be the beginning of one is held back. */
export class StopFilter {
  readonly #stops: readonly string[]
  #held = ''

  /** Empty stop sequences are ignored. */
  constructor(stops: readonly string[] = []) {
    this.#stops = stops.filter((stop) => stop !== '')
  }

  /** The text that can be passed on, and whether a stop sequence was found right after it. Nothing may be pushed after that. */
  push(piece: string): { readonly text: string; readonly stopped: boolean } {
    const text = this.#held + piece
    let at = -1
    for (const stop of this.#stops) {
      const found = text.indexOf(stop)
      if (found !== -1 && (at === -1 || found < at)) at = found
    }
    if (at !== -1) return { text: text.slice(0, at), stopped: true }
    const safe = text.length - this.#beginning(text)
    this.#held = text.slice(safe)
    return { text: text.slice(0, safe), stopped: false }
  }

  /** What was held back, when no more text comes. */
  end(): string {
    const text = this.#held
    this.#held = ''
    return text
  }

  /** The length of the longest end of `text` with which a stop sequence begins. */
  #beginning(text: string): number {
    let longest = 0
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) longest = length
      }
    }
    return longest
  }
}
