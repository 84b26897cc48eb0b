import wrapAnsi from 'wrap-ansi'
import type { RunEvent } from '../../core/event.ts'
import { completeSentences } from '../../core/sentence.ts'
import { counted, milliseconds } from '../../pages/figures.ts'
import { harmless, type Screen, type Tone } from '../screen.ts'

type Canvas = Pick<Screen, 'width' | 'paint'>

/** What a person typed, and what stands before it. */
interface Typed {
  readonly kind: 'typed'
  readonly text: string
}

interface Remark {
  readonly kind: 'remark'
  readonly text: string
  readonly tone: Tone
}

/** Lines that were drawn elsewhere. */
interface Drawn {
  readonly kind: 'drawn'
  readonly lines: readonly string[]
}

interface Answer {
  readonly kind: 'answer'
  text: string
  /** From where on it is struck through, UTF-16 units. Absent where nothing was cut. */
  cutFrom?: number
  /** The lines that it was drawn as, until something changes. */
  drawn?: { readonly lines: readonly string[]; readonly width: number; readonly isStruck: boolean }
}

/** An interrupt of which not all is known yet. */
interface Pending {
  readonly at: number
  readonly call: string
  decision?: string
  kept?: { readonly characters: number; readonly all: boolean }
}

export const PROMPT = '> '
const INDENT = '  '
const CUT = '[cut]'

/** A conversation as it stands on the screen, from what was typed and from the events of its runs. */
export class ConversationText {
  /** Whether the conversation keeps what was heard of a cut answer: with a history. Else a next stage has what its policy carries. */
  readonly #hasHistory: boolean
  #blocks: (Typed | Remark | Drawn | Answer)[] = []
  #answers = new Map<string, Answer>()
  #committed = new Map<string, number>()
  #pending = new Map<string, Pending>()

  constructor(options: { readonly hasHistory: boolean }) {
    this.#hasHistory = options.hasHistory
  }

  typed(text: string): void {
    this.#blocks.push({ kind: 'typed', text })
  }

  remark(text: string, tone: Tone = 'quiet'): void {
    this.#blocks.push({ kind: 'remark', text, tone })
  }

  drawn(lines: readonly string[]): void {
    this.#blocks.push({ kind: 'drawn', lines })
  }

  show(event: RunEvent): void {
    if (event.type === 'run-end') {
      this.#tellAll(event.runId)
      if (event.outcome === 'cancelled') this.remark('cancelled')
      return
    }
    if (!('callId' in event)) return
    const call = `${event.runId} ${event.callId}`
    if (event.type === 'token') this.#token(call, event)
    else if (event.type === 'interrupt-signal')
      this.#pending.set(`${event.runId} ${event.interrupt}`, { at: event.ms, call })
    else if (event.type === 'interrupt-decide') this.#decided(`${event.runId} ${event.interrupt}`, event.decision)
    else if (event.type === 'output-commit') this.#committed.set(call, event.characters)
    else if (event.type === 'output-withdraw') this.#cut(call, 0)
    else if (event.type === 'stage-settle') {
      if (event.settlement === 'aborted') this.#cut(call)
      if (event.settlement === 'withdrawn') this.#cut(call, 0)
      if (event.error !== undefined) this.remark(`${event.error.message} (${event.error.code})`, 'bad')
    }
  }

  /** Lines, unended. */
  lines({ width, paint }: Canvas): string[] {
    return this.#blocks.flatMap((block) => {
      if (block.kind === 'drawn') return [...block.lines]
      if (block.kind === 'typed')
        return wrapped(PROMPT + block.text, width, { trim: false }).map((line) => paint('heading', line))
      if (block.kind === 'remark')
        return wrapped(block.text, width - INDENT.length).map((line) => INDENT + paint(block.tone, line))
      return linesOf(block, { width, paint })
    })
  }

  /** What stands so far does not change any more, and is forgotten. */
  settle(): void {
    this.#blocks = []
    this.#answers.clear()
    this.#committed.clear()
    this.#pending.clear()
  }

  #token(call: string, { ms, text, runId }: Extract<RunEvent, { type: 'token' }>): void {
    let answer = this.#answers.get(call)
    if (answer === undefined) {
      this.#tellAll(runId, ms)
      answer = { kind: 'answer', text: '' }
      this.#answers.set(call, answer)
      this.#blocks.push(answer)
    }
    answer.text += text
    delete answer.drawn
  }

  #decided(interrupt: string, decision: string): void {
    const pending = this.#pending.get(interrupt)
    if (pending !== undefined) pending.decision = decision
  }

  /** Without `from`: from the sentence on that was cut, or from where the policy keeps nothing. */
  #cut(call: string, from?: number): void {
    const answer = this.#answers.get(call)
    if (answer === undefined) return
    const sentences = completeSentences(answer.text)
    const committed = this.#hasHistory ? undefined : this.#committed.get(call)
    answer.cutFrom = from ?? Math.min(sentences, committed ?? sentences)
    delete answer.drawn
  }

  /** What became of the interrupts of a run; `ms`: when the first token came that answers the newest. */
  #tellAll(runId: string, ms?: number): void {
    const mine = [...this.#pending].filter(([interrupt]) => interrupt.startsWith(`${runId} `))
    for (const [index, [interrupt, pending]] of mine.entries()) {
      this.#pending.delete(interrupt)
      const { at, call, decision } = pending
      const isNewest = index === mine.length - 1
      const parts = [
        decision ?? 'a newer interrupt took its place',
        ...this.#keptOf(call),
        ...(ms !== undefined && isNewest ? [`${milliseconds(ms - at)} to the first token`] : []),
      ]
      this.remark(parts.join(' · '))
    }
  }

  #keptOf(call: string): string[] {
    const answer = this.#answers.get(call)
    if (answer === undefined) return ['cut before its first token']
    const all = answer.text.length
    const kept = this.#hasHistory ? all : (this.#committed.get(call) ?? all)
    if (answer.cutFrom === undefined && kept === all) return ['kept all of it']
    if (kept === 0) return ['kept nothing of it']
    return [kept < all ? `kept ${kept} of ${counted(all, 'character')}` : `kept ${counted(all, 'character')}`]
  }
}

function wrapped(text: string, width: number, options: { trim: boolean } = { trim: true }): string[] {
  return wrapAnsi(harmless(text), width, { hard: true, ...options }).split('\n')
}

/** Those of last time where nothing has changed: an answer that has ended is not wrapped anew for each token of the next. */
function linesOf(answer: Answer, canvas: Canvas): readonly string[] {
  const { width, paint } = canvas
  const isStruck = canStrike(paint)
  if (answer.drawn?.width !== width || answer.drawn.isStruck !== isStruck)
    answer.drawn = { lines: answerLines(answer, canvas), width, isStruck }
  return answer.drawn.lines
}

/** Whether what is cut looks otherwise than the rest. */
const canStrike = (paint: Screen['paint']): boolean => paint('cut', 'x') !== 'x'

const blanks = /\s/g
const lettersIn = (text: string): number => text.replace(blanks, '').length

/** Wrapped at words and indented; what was cut is struck through, or has a mark behind it where nothing can be struck. */
export function answerLines({ text, cutFrom }: Omit<Answer, 'kind'>, { width, paint }: Canvas): string[] {
  const isStruck = canStrike(paint)
  const shown = cutFrom === undefined || isStruck ? text : `${text.trimEnd()} ${CUT}`
  const lines = wrapped(shown.trim(), width - INDENT.length)
  if (cutFrom === undefined || !isStruck) return lines.map((line) => INDENT + line)
  // Wrapping takes blanks away and nothing else, so that letters tell where a line stands in the text.
  let left = lettersIn(harmless(text.slice(0, cutFrom)))
  return lines.map((line) => {
    let end = 0
    while (end < line.length && (left > 0 || blanksAt(line, end))) {
      if (!blanksAt(line, end)) left -= 1
      end += 1
    }
    const struck = line.slice(end)
    return INDENT + line.slice(0, end) + (struck === '' ? '' : paint('cut', struck))
  })
}

const blanksAt = (line: string, index: number): boolean => /\s/.test(line[index] ?? '')
