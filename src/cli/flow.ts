import stringWidth from 'string-width'
import { harmless, type Screen, type Tone } from './screen.ts'

const INDENT = '  '

/** Wraps text that comes in pieces at words, indented. Holds the last, unfinished word back until it is known where it fits. */
export class Flow {
  readonly #screen: Pick<Screen, 'width' | 'paint' | 'write'>
  #column = 0
  #spaces = 0
  #word = ''
  /** Blanks at the start of a line count only where the text itself broke the line. */
  #indentable = false
  /** Line breaks written since `restart`. */
  lines = 0

  constructor(screen: Pick<Screen, 'width' | 'paint' | 'write'>) {
    this.#screen = screen
  }

  restart(): void {
    this.#column = 0
    this.#spaces = 0
    this.#word = ''
    this.#indentable = false
    this.lines = 0
  }

  add(text: string, tone?: Tone): void {
    for (const [piece] of harmless(text).matchAll(/\n| +|[^ \n]+/g)) {
      if (piece === '\n') {
        this.finishWord(tone)
        this.#break()
        this.#indentable = true
      } else if (piece.startsWith(' ')) {
        this.finishWord(tone)
        if (this.#column > 0 || this.#indentable) this.#spaces += piece.length
      } else this.#word += piece
      // A word that fits on no line is not held back.
      if (stringWidth(this.#word) > this.#room) this.finishWord(tone)
    }
  }

  finishWord(tone?: Tone): void {
    let word = this.#word
    this.#word = ''
    if (word === '') return
    const spaces = Math.min(this.#spaces, this.#room)
    if (this.#column > 0 && this.#column + spaces + stringWidth(word) > this.#room) this.#break()
    else word = ' '.repeat(spaces) + word
    this.#spaces = 0
    while (stringWidth(word) > this.#room - this.#column) {
      let head = ''
      for (const character of word) {
        if (stringWidth(head + character) > this.#room - this.#column) break
        head += character
      }
      this.#put(head, tone)
      this.#break()
      word = word.slice(head.length)
    }
    this.#put(word, tone)
  }

  /** A mark behind the text, on its line if it fits. */
  mark(glyph: string, tone: Tone): void {
    this.finishWord()
    this.#spaces = this.#column === 0 ? 0 : 1
    this.#word = glyph
    this.finishWord(tone)
  }

  /** A line of its own; long ones are wrapped. */
  line(text: string, tone: Tone): void {
    this.close()
    this.add(text.replace(/\n/g, ' '), tone)
    this.finishWord(tone)
    this.close()
  }

  /** Ends the line that is begun, if one is. */
  close(): void {
    this.finishWord()
    this.#spaces = 0
    if (this.#column > 0) this.#break()
  }

  get #room(): number {
    return this.#screen.width - INDENT.length
  }

  #put(text: string, tone: Tone | undefined): void {
    if (text === '') return
    const { write, paint } = this.#screen
    write((this.#column === 0 ? INDENT : '') + (tone === undefined ? text : paint(tone, text)))
    this.#column += stringWidth(text)
  }

  #break(): void {
    this.#screen.write('\n')
    this.#column = 0
    this.#spaces = 0
    this.#indentable = false
    this.lines += 1
  }
}
