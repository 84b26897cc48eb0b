/** How a model marks its thinking in its text. */
export interface ThoughtMarks {
  readonly prefix: string
  readonly suffix: string
  /** The prompt has opened it already. */
  readonly isOpen: boolean
}

/** What of a piece is thinking, and what is text. */
export interface SplitPiece {
  readonly thinking: string
  readonly text: string
}

/** Tells thinking and text of one answer apart by their marks. What may be the beginning of a mark is held back; blanks around marks are left out. */
export class ThoughtSplitter {
  readonly #marks: ThoughtMarks
  #state: 'start' | 'opened' | 'thinking' | 'after' | 'text'
  #held = ''

  constructor(marks: ThoughtMarks) {
    this.#marks = marks
    this.#state = marks.isOpen ? 'opened' : 'start'
  }

  /** Whether what comes now is the answer. */
  get isText(): boolean {
    return this.#state === 'after' || this.#state === 'text'
  }

  push(piece: string): SplitPiece {
    this.#held += piece
    if (this.#state === 'start') this.#begin()
    if (this.#state === 'opened') this.#skipBlanks('thinking')
    const thinking = this.#state === 'thinking' ? this.#think() : ''
    if (this.#state === 'after') this.#skipBlanks('text')
    if (this.#state !== 'text') return { thinking, text: '' }
    const text = this.#held
    this.#held = ''
    return { thinking, text }
  }

  /** What was held back, when no more comes. */
  end(): SplitPiece {
    const held = this.#held
    this.#held = ''
    if (this.#state === 'thinking') return { thinking: held.trimEnd(), text: '' }
    return { thinking: '', text: this.#state === 'after' || this.#state === 'opened' ? '' : held }
  }

  #begin(): void {
    const { prefix } = this.#marks
    const begun = this.#held.trimStart()
    if (begun.startsWith(prefix)) {
      this.#held = begun.slice(prefix.length)
      this.#state = 'opened'
    } else if (!prefix.startsWith(begun)) this.#state = 'text'
  }

  #think(): string {
    const { suffix } = this.#marks
    const at = this.#held.indexOf(suffix)
    if (at !== -1) {
      const thinking = this.#held.slice(0, at).trimEnd()
      this.#held = this.#held.slice(at + suffix.length)
      this.#state = 'after'
      return thinking
    }
    let held = Math.min(suffix.length - 1, this.#held.length)
    while (held > 0 && !suffix.startsWith(this.#held.slice(-held))) held -= 1
    const thinking = this.#held.slice(0, this.#held.length - held).trimEnd()
    this.#held = this.#held.slice(thinking.length)
    return thinking
  }

  #skipBlanks(next: 'thinking' | 'text'): void {
    this.#held = this.#held.trimStart()
    if (this.#held !== '') this.#state = next
  }
}
