const segmenter = new Intl.Segmenter('und', { granularity: 'sentence' })
/** A mark that can end a sentence. */
const mark = /[.!?…。！？\n]/u
/** The same at the end of a text, with what may close behind it. */
const markAtEnd = /[.!?…。！？\n]["'”’»)\]]*\s*$/u

/** The last mark of a text and what stands behind it. */
const lastMark = /[.!?…。！？\n][^.!?…。！？\n]*$/u
/** How much before the last mark can matter to what comes, in UTF-16 units: the rules look one letter back, with its accents. */
const LOOK_BACK = 64

/** Finds sentence ends in a text that comes in pieces. The cost of a piece does not grow with the text before it. */
export class SentenceScanner {
  #tail = ''
  #pending = false

  /** How many sentences this piece showed to be over: the text after them has begun. */
  feed(piece: string): number {
    this.#tail += piece
    if (!this.#pending && !mark.test(piece)) return 0
    const segments = [...segmenter.segment(this.#tail)]
    const last = segments.at(-1)?.segment ?? ''
    this.#tail = last.slice(Math.max(0, last.search(lastMark) - LOOK_BACK))
    this.#pending = markAtEnd.test(this.#tail)
    return Math.max(0, segments.length - 1)
  }
}

/**
 * The length of the complete sentences of a text that may go on, in UTF-16 units. A last sentence counts if it ends in a mark;
 * a full stop straight after a digit does not (`It costs 3.` may go on as `3.50`).
 */
export function completeSentences(text: string): number {
  let end = 0
  for (const { segment, index } of segmenter.segment(text)) {
    const last = index + segment.length === text.length
    if (!last || (markAtEnd.test(segment) && !/\d\.$/u.test(segment))) end = index + segment.trimEnd().length
  }
  return end
}
