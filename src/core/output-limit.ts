import { CaesuraError } from './errors.ts'

/** How much the calls of one run may generate together. */
export interface OutputLimits {
  /** Pieces of text, one a token for most servers. 1,000,000 by default. */
  readonly tokens: number
  /** UTF-16 units of text. 67,108,864 (64 Mi) by default. */
  readonly characters: number
}

export const defaultOutputLimits: OutputLimits = { tokens: 1_000_000, characters: 64 * 1_048_576 }

/**
 * Bounds the memory of a run. All events are kept until the run ends, so that a reader may be slow or come late, and a call is
 * never slowed down for its readers. So there is a last token: the call that goes beyond it is failed. A million tokens take
 * about 200 MB.
 */
export class OutputAllowance {
  readonly #limits: OutputLimits
  #tokens = 0
  #characters = 0

  constructor(limits: Partial<OutputLimits> = {}) {
    this.#limits = { ...defaultOutputLimits, ...limits }
  }

  /** Counts a piece in. Returns the fault, `CAESURA_E_OUTPUT_LIMIT`, when there is no room for it; then it is not counted. */
  take(text: string): CaesuraError | undefined {
    const { tokens, characters } = this.#limits
    if (this.#tokens + 1 > tokens || this.#characters + text.length > characters) {
      return new CaesuraError(
        'CAESURA_E_OUTPUT_LIMIT',
        `the run generated more than ${tokens} tokens or ${characters} characters`,
      )
    }
    this.#tokens += 1
    this.#characters += text.length
    return undefined
  }
}
