import { isItemNumber, kindOfWord, LONGEST_ABBREVIATION } from './abbreviations.ts'
import { type Candidate, decide, isMark } from './sentence-candidate.ts'
import { closersOf, isGreek, type Kind, kindOf, kinds, openingQuotes } from './sentence-characters.ts'

/** Quotations inside each other that are followed. */
const MOST_QUOTATIONS = 16
const SLASH = 0x2f
const COLON = 0x3a
const SEMICOLON = 0x3b

/**
 * Finds sentence ends in a text that comes in pieces, by Unicode's `Sentence_Terminal` and the rules around it (UAX 29), with more
 * care for abbreviations, addresses, numbers of a list, and quotation marks of all scripts. It goes on by one character at a
 * time, so the ends do not depend on where the text is cut, and the cost of a piece does not grow with the text before it.
 */
export class SentenceScanner {
  /** The first half of a character that is still to come. */
  #half = ''
  /** UTF-16 units that were read, and those up to the last one that is no space. */
  #at = 0
  #solid = 0
  #ended = 0
  /** Whether the sentence has a letter, a digit or a symbol: without one there is no sentence to end. */
  #hasContent = false
  #candidate: Candidate | undefined
  /** The word that is being read, or its beginning where it is long, and whether it is the first one of its sentence. */
  #word = ''
  #isFirstWord = true
  #isAddress = false
  #previous: Kind = kinds.line
  #code = 0
  #codeBefore = 0
  /** What may close each quotation that is open. */
  #quotations: string[] = []

  /** How many sentences this piece showed to be over: the text after them has begun, or their line has ended. */
  feed(piece: string): number {
    let text = this.#half === '' ? piece : this.#half + piece
    this.#half = ''
    const last = text.charCodeAt(text.length - 1)
    if (last >= 0xd800 && last <= 0xdbff) {
      this.#half = text.slice(-1)
      text = text.slice(0, -1)
    }
    let ends = 0
    for (let at = 0; at < text.length; ) {
      const code = text.codePointAt(at)!
      at += code > 0xffff ? 2 : 1
      this.#at += code > 0xffff ? 2 : 1
      if (this.#read(code)) ends += 1
    }
    return ends
  }

  /** The length of the sentences that were shown to be over, in UTF-16 units. */
  get ended(): number {
    return this.#ended
  }

  /**
   * The length of the sentences that are over, in UTF-16 units, if nothing came any more: the last one counts if it ends in a mark.
   * A full stop straight after a digit or an abbreviation does not (`It costs 3.` may go on as `3.50`).
   */
  get complete(): number {
    const candidate = this.#candidate
    if (candidate === undefined) return this.#ended
    const { kind, before, word, end, closed, spaced } = candidate
    const isOpen = !closed && !spaced && (this.#isAddress || (kind === kinds.stop && before === kinds.digit))
    return isOpen || (kind === kinds.stop && word === 'abbreviation') ? this.#ended : end
  }

  /** Takes one character. True when it shows that a sentence is over. */
  #read(code: number): boolean {
    const kind = this.#resolve(code)
    if (kind === kinds.extend) {
      this.#extend(code)
      return false
    }
    const ended = kind === kinds.line ? this.#endLine() : this.#judge(kind)
    if (this.#candidate === undefined) this.#continue(kind, code)
    if (kind !== kinds.space && kind !== kinds.line) this.#solid = this.#at
    this.#previous = kind
    this.#codeBefore = this.#code
    this.#code = code
    return ended
  }

  /** The kind of a character where it stands. */
  #resolve(code: number): Kind {
    const kind = kindOf(code)
    if (kind === kinds.quote) return this.#quote(String.fromCodePoint(code))
    return code === SEMICOLON && isGreek(this.#code) ? kinds.exclamation : kind
  }

  #quote(mark: string): Kind {
    if (this.#quotations.at(-1)?.includes(mark)) {
      this.#quotations.pop()
      return kinds.close
    }
    const previous = this.#previous
    const opens =
      openingQuotes.includes(mark) ||
      previous === kinds.space ||
      previous === kinds.line ||
      previous === kinds.open ||
      // Where words have no spaces between them, a quotation opens straight after one.
      (mark === '"' && (previous === kinds.letter || previous === kinds.terminal || previous === kinds.comma))
    if (!opens) return kinds.close
    const closers = closersOf[mark]
    if (closers !== undefined && this.#quotations.length < MOST_QUOTATIONS) this.#quotations.push(closers)
    return kinds.open
  }

  /** Accents, joiners and the like belong to what they stand on, a mark included. */
  #extend(code: number): void {
    this.#solid = this.#at
    const candidate = this.#candidate
    if (candidate === undefined) {
      if (this.#word !== '' && this.#word.length <= LONGEST_ABBREVIATION) this.#word += String.fromCodePoint(code)
    } else if (candidate.end === this.#at - (code > 0xffff ? 2 : 1)) candidate.end = this.#at
  }

  /** The line is over, and with it its sentence: an empty line has none. */
  #endLine(): boolean {
    const ended = this.#hasContent
    if (ended) this.#end(this.#solid)
    this.#quotations.length = 0
    return ended
  }

  #end(at: number): void {
    this.#ended = at
    this.#candidate = undefined
    this.#hasContent = false
    this.#isFirstWord = true
    this.#isAddress = false
    this.#word = ''
  }

  /** What the character makes of a mark before it. True when the sentence is over. */
  #judge(kind: Kind): boolean {
    const candidate = this.#candidate
    if (candidate === undefined) return false
    const decision = decide(candidate, kind, this.#at, this.#isAddress)
    if (decision === 'ends') this.#end(candidate.end)
    else if (decision === 'goes on') {
      this.#candidate = undefined
      if (candidate.spaced) this.#isAddress = false
      if (candidate.spaced || candidate.opened || candidate.closed) this.#word = ''
    }
    return decision === 'ends'
  }

  /** Takes a character into the sentence. */
  #continue(kind: Kind, code: number): void {
    if (kind >= kinds.lower && kind <= kinds.digit) {
      if (this.#word === '') this.#isFirstWord = !this.#hasContent
      // Longer than any that is looked for is enough to know that it is none of them.
      if (this.#word.length <= LONGEST_ABBREVIATION) this.#word += String.fromCodePoint(code)
      this.#hasContent = true
      return
    }
    if (isMark(kind)) {
      this.#open(kind)
      return
    }
    if (kind === kinds.space || kind === kinds.line) this.#isAddress = false
    else if (code === SLASH && this.#code === SLASH && this.#codeBefore === COLON) this.#isAddress = true
    else if (kind === kinds.symbol) this.#hasContent = true
    this.#word = ''
  }

  /** Notes a mark that may end the sentence. The number of an item in a list and marks without a sentence are none. */
  #open(kind: Candidate['kind']): void {
    const word = this.#word
    if (kind === kinds.stop) {
      if (word === 'www') this.#isAddress = true
      // `U.S.` is one word.
      if (word !== '' && word.length <= LONGEST_ABBREVIATION) this.#word += '.'
    }
    if (!this.#hasContent || (kind === kinds.stop && this.#isFirstWord && isItemNumber(word))) return
    this.#candidate = {
      kind,
      before: this.#previous,
      word: kind === kinds.stop ? kindOfWord(word) : 'plain',
      end: this.#at,
      closed: false,
      spaced: false,
      opened: false,
      skipped: 0,
    }
  }
}

/** The length of the complete sentences of a text that may go on, in UTF-16 units: see `SentenceScanner.complete`. */
export function completeSentences(text: string): number {
  const scanner = new SentenceScanner()
  scanner.feed(text)
  return scanner.complete
}
