import { type Clock, msToNs, type Nanoseconds } from '../core/clock.ts'
import { intervalOf, partsOf, type Speaking } from '../core/speaking.ts'
import type { Transcript } from '../core/transcript.ts'
import { Alarm } from './alarm.ts'

/** What a speech is for. */
export interface SpeechListener {
  /** Text is handed out. `at`: when it came, on the run's scale. `again`: an owner before has handed it out. */
  utter(text: string, at: Nanoseconds, again: boolean): void
  /** Text is about to be handed out. It is not, if the speech is stopped or held by this. */
  ahead(text: string): void
  /** The call has ended, and nothing is left to hand out or to wait for, or the speech was stopped. Called once. */
  over(): void
}

interface Part {
  readonly text: string
  readonly at: Nanoseconds
}

/**
 * Hands the text of one call to the readers of its run where that takes time: so many tokens a second, or until the reader has acknowledged
 * what there is. It goes on when the call has ended, and the stage lasts as long. To stop it takes no time.
 */
export class Speech {
  readonly #clock: Clock
  readonly #transcript: Transcript
  readonly #speaking: Speaking
  readonly #listener: SpeechListener
  readonly #waiting: Part[] = []
  readonly #next: Alarm
  readonly #patience: Alarm
  /** When the last part was due, on the clock's scale. */
  #lastDue = Number.NEGATIVE_INFINITY
  /** Parts that came so far. */
  #count = 0
  #hasAll = false
  #isOver = false

  constructor(clock: Clock, transcript: Transcript, speaking: Speaking, listener: SpeechListener) {
    this.#clock = clock
    this.#transcript = transcript
    this.#speaking = speaking
    this.#listener = listener
    this.#next = new Alarm(clock, () => this.goOn())
    this.#patience = new Alarm(clock, () => this.#giveUp())
    transcript.spoken = 0
  }

  /** A piece of the call's text has come. */
  say(piece: string, at: Nanoseconds): void {
    if (this.#isOver) return
    for (const text of this.#speaking.pace === undefined ? [piece] : partsOf(piece)) {
      // Half of a character is a piece without a text, of which nobody is told.
      if (text !== '') this.#count += 1
      const count = text === '' ? this.#count + 1 : this.#count
      if (count <= this.#transcript.toldBefore) this.#utter({ text, at }, true)
      else this.#waiting.push({ text, at })
    }
    this.goOn()
  }

  /** The call has ended, so no more text comes. */
  end(): void {
    this.#hasAll = true
    if (this.#isOver) this.#listener.over()
    else this.goOn()
  }

  /** Hands out what is due: called too when something was acknowledged, and when what was held may be handed out. */
  goOn(): void {
    while (!this.#isOver && this.#transcript.held === undefined) {
      const part = this.#waiting[0]
      if (part === undefined && !this.#hasAll) return
      const now = this.#clock.now()
      const due = this.#dueOf(now)
      if (due > now) {
        this.#next.set(due)
        return
      }
      // The last part takes its time as well.
      if (part === undefined) break
      this.#listener.ahead(part.text)
      if (this.#isOver || this.#transcript.held !== undefined) return
      this.#waiting.shift()
      // Who was kept from speaking does not hurry afterwards.
      this.#lastDue = now - due > this.#interval ? now : due
      this.#utter(part, false)
    }
    this.#mayBeOver()
  }

  /** Nothing more is handed out. */
  stop(): void {
    if (this.#isOver) return
    this.#transcript.isCut = true
    this.close()
    if (this.#hasAll) this.#listener.over()
  }

  /** As `stop`, and tells nobody. */
  close(): void {
    this.#isOver = true
    this.#waiting.length = 0
    this.#next.clear()
    this.#patience.clear()
  }

  get #interval(): Nanoseconds {
    return this.#speaking.pace === undefined ? 0 : intervalOf(this.#speaking.pace)
  }

  /** One interval after the part before; at once where nothing was waiting then. */
  #dueOf(now: Nanoseconds): Nanoseconds {
    return this.#lastDue === Number.NEGATIVE_INFINITY ? now : this.#lastDue + this.#interval
  }

  get #isUnheard(): boolean {
    const { awaitsHearing, heard = 0, spoken = 0 } = this.#transcript
    return awaitsHearing && heard < spoken
  }

  #utter({ text, at }: Part, again: boolean): void {
    this.#transcript.spoken! += text.length
    this.#listener.utter(text, at, again)
  }

  #mayBeOver(): void {
    if (this.#isOver || !this.#hasAll || this.#waiting.length > 0 || this.#transcript.held !== undefined) return
    if (this.#isUnheard) this.#patience.set(this.#clock.now() + msToNs(this.#speaking.heardWithinMs))
    else {
      this.close()
      this.#listener.over()
    }
  }

  /** The reader acknowledges no more: what was handed out is all that there is to wait for. */
  #giveUp(): void {
    this.#transcript.awaitsHearing = false
    this.#mayBeOver()
  }
}
