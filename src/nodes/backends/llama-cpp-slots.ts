import type { LlamaContextSequence, Token } from 'node-llama-cpp'

/**
 * The sequences of one context. A call takes the free one that holds the longest beginning of its prompt; without a free one
 * it waits, first come, first served.
 */
export class SequenceSlots {
  readonly #free: Set<LlamaContextSequence>
  readonly #waiting = new Set<(sequence: LlamaContextSequence) => void>()

  constructor(sequences: readonly LlamaContextSequence[]) {
    this.#free = new Set(sequences)
  }

  get hasFree(): boolean {
    return this.#free.size > 0
  }

  /** Resolves to a sequence, or to undefined as soon as the signal is aborted. */
  async take(prompt: readonly Token[], signal: AbortSignal): Promise<LlamaContextSequence | undefined> {
    if (signal.aborted) return undefined
    let best: LlamaContextSequence | undefined
    let longest = -1
    for (const sequence of this.#free) {
      const length = commonPrefix(sequence.contextTokens, prompt)
      if (length > longest) [best, longest] = [sequence, length]
    }
    if (best !== undefined) {
      this.#free.delete(best)
      return best
    }
    return new Promise((resolve) => {
      const giveUp = () => {
        this.#waiting.delete(start)
        resolve(undefined)
      }
      const start = (sequence: LlamaContextSequence) => {
        signal.removeEventListener('abort', giveUp)
        resolve(sequence)
      }
      this.#waiting.add(start)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Gives a sequence back: to the call that has waited longest, if one waits. */
  release(sequence: LlamaContextSequence): void {
    for (const start of this.#waiting) {
      this.#waiting.delete(start)
      start(sequence)
      return
    }
    this.#free.add(sequence)
  }
}

/** How many tokens at the start are the same. */
export function commonPrefix(a: readonly Token[], b: readonly Token[]): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1
  return length
}
