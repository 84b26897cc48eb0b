import { callName } from '../core/call-names.ts'
import type { RunEvent } from '../core/event.ts'
import { present } from '../core/present.ts'
import { Flow } from './flow.ts'
import { oneLine, type Screen } from './screen.ts'

const CUT = '✂'

interface Call {
  readonly heading: string
  /** UTF-16 units shown so far. */
  length: number
  /** How much of the text stands, once that is known. */
  kept?: number
  cut: boolean
}

/** What stands under one heading: text of one call, and lines that came between it. */
interface Section {
  readonly call: Call
  /** How much of the call's text stands in earlier sections. */
  readonly offset: number
  text: string
  /** Lines, each behind so many characters of the text. */
  readonly notes: { readonly after: number; readonly text: string }[]
}

type Event<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>

/**
 * Shows a run while it goes, from its events: stage names as headings, the text as it comes, what was cut off visibly
 * cut, each interrupt on a line. On a terminal the text of a call is drawn again when part of it is cut; elsewhere
 * nothing that was written is touched.
 */
export class LiveText {
  readonly #screen: Screen
  readonly #flow: Flow
  readonly #calls = new Map<string, Call>()
  readonly #signals = new Map<number, Event<'interrupt-signal'>>()
  #section: Section | undefined
  /** Waits for the mark of a cut, which belongs before it. */
  #pending: string | undefined

  constructor(screen: Screen) {
    this.#screen = screen
    this.#flow = new Flow(screen)
  }

  show(event: RunEvent): void {
    if (event.type === 'stage-start') this.#begin(event)
    else if (event.type === 'token') this.#token(event)
    else if (event.type === 'interrupt-signal') this.#signals.set(event.interrupt, event)
    else if (event.type === 'interrupt-decide') this.#decide(event)
    else if (event.type === 'stage-settle') this.#settle(event)
    else if (event.type === 'output-commit') this.#stands(event.callId, event.characters)
    else if (event.type === 'output-withdraw') this.#stands(event.callId, 0)
    else if (event.type === 'run-end') {
      this.#writePending()
      this.#flow.close()
    }
  }

  get #redraws(): boolean {
    return this.#screen.rows !== undefined
  }

  #begin({ stage: id, callId, visit, attempt }: Event<'stage-start'>): void {
    this.#writePending()
    const heading = callName({ id, attempt, ...present({ visit }) })
    const call: Call = { heading, length: 0, cut: false }
    this.#calls.set(callId, call)
    this.#open(call, call.heading)
  }

  #open(call: Call, heading: string): Section {
    const { write, paint, width } = this.#screen
    this.#flow.close()
    write(`${this.#section === undefined ? '' : '\n'}${paint('heading', oneLine(heading, width))}\n`)
    this.#flow.restart()
    this.#section = { call, offset: call.length, text: '', notes: [] }
    return this.#section
  }

  #token({ callId, text }: Event<'token'>): void {
    this.#writePending()
    const call = this.#calls.get(callId)
    if (call === undefined) return
    const section = this.#isCurrent(call) ? this.#section : this.#open(call, `${call.heading}, going on`)
    if (section !== undefined) section.text += text
    call.length += text.length
    this.#flow.add(text)
  }

  #isCurrent(call: Call | undefined): boolean {
    return call !== undefined && this.#section?.call === call
  }

  #decide({ callId, interrupt, response, decision }: Event<'interrupt-decide'>): void {
    this.#writePending()
    const { input, trigger = response } = this.#signals.get(interrupt) ?? {}
    const note = `interrupt${input === undefined ? ` (${trigger})` : `: ${oneLine(input, 200)}`} → ${decision}`
    if (this.#redraws || !this.#isCurrent(this.#calls.get(callId))) this.#note(note)
    else this.#pending = note
  }

  #note(text: string): void {
    this.#section?.notes.push({ after: this.#section.text.length, text })
    this.#flow.line(text, 'interrupt')
  }

  #writePending(): void {
    const note = this.#pending
    this.#pending = undefined
    if (note !== undefined) this.#note(note)
  }

  #settle({ callId, settlement, error }: Event<'stage-settle'>): void {
    const call = this.#calls.get(callId)
    if (call === undefined) return
    call.cut = settlement === 'aborted' || settlement === 'withdrawn'
    const current = this.#isCurrent(call)
    const prefix = current ? '' : `${call.heading}: `
    if (call.cut && !current) this.#flow.line(`${prefix}${settlement} ${CUT}`, 'quiet')
    else if (call.cut && this.#redraws) this.#redraw(call.kept ?? call.length)
    else if (call.cut) this.#flow.mark(CUT, 'bad')
    this.#writePending()
    if (error !== undefined) this.#flow.line(`${prefix}failed: ${error.message} (${error.code})`, 'bad')
  }

  /** The first `characters` of a call's text stand. Says so where the call was cut, or not all of it stands. */
  #stands(callId: string, characters: number): void {
    const call = this.#calls.get(callId)
    if (call === undefined || call.kept !== undefined) return
    call.kept = characters
    const all = call.length <= characters
    if (all && !call.cut) return
    this.#writePending()
    const current = this.#isCurrent(call)
    if (current && !all && this.#redraws) this.#redraw(characters)
    // What the server generated beyond that counts as wasted: "all of it" beside "1 token wasted" would contradict itself.
    const kept = all
      ? 'all that had come'
      : characters === 0
        ? 'nothing of it'
        : `the first ${characters} of ${call.length} characters`
    const sentence = call.length === 0 ? 'cut before its first token' : `kept: ${kept}`
    this.#flow.line(current ? sentence : `${call.heading}: ${sentence}`, 'quiet')
  }

  /** Draws the current section again, with what does not stand struck out. */
  #redraw(characters: number): void {
    const section = this.#section
    this.#flow.finishWord()
    // What has left the screen cannot be drawn again.
    if (section === undefined || this.#flow.lines >= (this.#screen.rows ?? 0) - 1) return
    this.#screen.write(`${this.#flow.lines === 0 ? '' : `\u001b[${this.#flow.lines}A`}\r\u001b[J`)
    this.#flow.restart()
    const kept = Math.max(0, characters - section.offset)
    let at = 0
    const textTo = (end: number) => {
      const border = Math.max(at, Math.min(kept, end))
      this.#flow.add(section.text.slice(at, border))
      if (border < end) this.#flow.finishWord()
      this.#flow.add(section.text.slice(border, end), 'cut')
      if (border < end) this.#flow.finishWord('cut')
      at = end
      // The mark stands where the text ends, before the lines that came then.
      if (section.call.cut && at === section.text.length && !marked) this.#flow.mark(CUT, 'bad')
      if (at === section.text.length) marked = true
    }
    let marked = false
    for (const note of section.notes) {
      textTo(note.after)
      this.#flow.line(note.text, 'interrupt')
    }
    textTo(section.text.length)
  }
}
