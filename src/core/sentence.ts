const segmenter = new Intl.Segmenter('und', { granularity: 'sentence' })
/** A mark that can end a sentence. */
const mark = /[.!?…。！？\n]/u
/** The same at the end of a text, with what may close behind it. */
const markAtEnd = /[.!?…。！？\n]["'”’»)\]]*\s*$/u

/** A mark that may end one: a full stop straight before a small letter or a digit never does (`e.g`, `3.50`, `file.ts`). */
const openMark = /[!?…。！？\n]|\.(?![a-z0-9])/u

/** The last mark of a text and what stands behind it. */
const lastMark = /[.!?…。！？\n][^.!?…。！？\n]*$/u
/**
 * A mark at the end of a text that what comes decides on: the first letter behind it does. Without one for so long, nothing is
 * waited for.
 */
const undecided = /[.!?…。！？\n](?![0-9])\P{L}{0,64}$/u
const noLetter = /\P{L}/u
/** How much before a mark can matter to what comes, in UTF-16 units: the rules look one letter back, with its accents. */
const LOOK_BACK = 64
/** A text without a mark is kept so long, in UTF-16 units. */
const LONGEST_TAIL = 1_024

/**
 * What of a text can matter to what comes. It never begins with a mark whose letter was cut off, for that one could end a
 * sentence where the whole (`U.S.`) does not.
 */
function tailOf(text: string, pending: boolean): string {
  const last = text.search(lastMark)
  if (!pending) return text.slice(Math.max(last + 1, text.length - LOOK_BACK))
  let start = last
  while (start > Math.max(0, last - LOOK_BACK) && noLetter.test(text.charAt(start - 1))) start -= 1
  const least = Math.max(0, start - LOOK_BACK)
  while (start > least && !mark.test(text.charAt(start - 1))) start -= 1
  return text.slice(start)
}

/** Finds sentence ends in a text that comes in pieces. The cost of a piece does not grow with the text before it. */
export class SentenceScanner {
  #tail = ''
  #pending = false

  /** How many sentences this piece showed to be over: the text after them has begun. */
  feed(piece: string): number {
    this.#tail += piece
    if (!this.#pending && !openMark.test(piece)) {
      if (this.#tail.length > LONGEST_TAIL) this.#tail = tailOf(this.#tail, false)
      return 0
    }
    const segments = [...segmenter.segment(this.#tail)]
    const last = segments.at(-1)?.segment ?? ''
    this.#pending = undecided.test(last)
    this.#tail = tailOf(last, this.#pending)
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
