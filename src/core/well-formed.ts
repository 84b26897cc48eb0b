/** Stands for half of a character whose other half never came. */
const REPLACEMENT = '\uFFFD'

const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

/**
 * Makes pieces of a text well-formed Unicode. A piece that ends in the first half of a character (a surrogate pair that was cut in
 * two) gives the half to the next piece; a half that stays alone becomes U+FFFD. So each piece can stand alone, and all together are
 * the whole text made well-formed, wherever it was cut.
 */
export class WellFormedPieces {
  #half = ''

  /** What of the text is complete with this piece: empty where it was the first half of a character. */
  push(piece: string): string {
    const text = this.#half === '' ? piece : this.#half + piece
    const isCut = isFirstHalf(text.charCodeAt(text.length - 1))
    this.#half = isCut ? text.slice(-1) : ''
    return (isCut ? text.slice(0, -1) : text).toWellFormed()
  }

  /** What is left when no more comes. */
  end(): string {
    const text = this.#half === '' ? '' : REPLACEMENT
    this.#half = ''
    return text
  }
}

/** The first `longest` UTF-16 units of a text, or one less where that would cut a character in two. Well-formed. */
export function beginningOf(text: string, longest: number): string {
  const cut = text.length > longest && isFirstHalf(text.charCodeAt(longest - 1)) ? longest - 1 : longest
  return text.slice(0, Math.max(0, cut)).toWellFormed()
}

/** A text made well-formed; anything else, which a caller without types may give, as it is. */
export const wellFormed = <T>(value: T): T => (typeof value === 'string' ? (value.toWellFormed() as T) : value)
