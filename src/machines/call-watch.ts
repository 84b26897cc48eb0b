import type { CallTimeouts } from '../core/call.ts'
import { msToNs, type Nanoseconds } from '../core/clock.ts'
import type { PlannedSignal } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import { type Stage, silenceLimits } from '../core/pipeline.ts'
import type { CallEvent } from '../core/policy.ts'
import { checkWakes, initialOf, stepOf } from '../core/policy-calls.ts'
import { SentenceScanner } from '../core/sentence.ts'
import type { Transcript } from '../core/transcript.ts'
import { isFirstCall } from '../core/visit.ts'
import { Alarm } from './alarm.ts'
import { type RunEnvironment, triggerOf } from './environment.ts'

/** The limits of a call, by what does not come in time. */
const limits = ['first token', 'next token', 'end'] as const

/** What a watch finds out. */
export interface CallWatchListener {
  /** The trigger of the stage's policy fired. At most once. */
  trigger(name: string): void
  /** A planned signal is due. */
  signal(planned: PlannedSignal): void
  /** The call passed one of its limits. At most once. */
  timeout(error: CaesuraError): void
  /** The trigger is at fault. At most once, and then nothing is asked of it any more. */
  fault(error: unknown): void
  sentenceEnd(): void
}

/**
 * Watches one call in flight: its stage's trigger, the signals planned for it, its timeouts. Everything is evaluated at the
 * token or timer that brings it, before the next token is looked at, so what it starts does not depend on who reads the run.
 */
export class CallWatch {
  readonly #environment: RunEnvironment
  readonly #transcript: Transcript
  readonly #stage: Stage
  readonly #listener: CallWatchListener
  readonly #sentences = new SentenceScanner()
  readonly #timers = new Map<string, Alarm>()
  readonly #limits: CallTimeouts
  #sentenceCount = 0
  #triggerState: unknown
  /** How often the trigger was woken for an instant that was over. */
  #lateWakes = 0
  #open = true
  /** A token that comes again is counted, and nobody is told what follows from it. */
  #again = false
  #startedAt: Nanoseconds = 0

  constructor(environment: RunEnvironment, transcript: Transcript, stage: Stage, listener: CallWatchListener) {
    this.#environment = environment
    this.#transcript = transcript
    this.#stage = stage
    this.#listener = listener
    this.#limits = silenceLimits(stage)
    const { name, parameter } = stage.policy.trigger
    if (transcript.triggered) return
    try {
      this.#triggerState = initialOf(triggerOf(environment, name), parameter)
    } catch (error) {
      listener.fault(error)
    }
  }

  started(at: Nanoseconds): void {
    this.#startedAt = at
    const { firstTokenMs, totalMs } = this.#limits
    if (firstTokenMs !== undefined) this.#limit('first token', 'CAESURA_E_TIMEOUT_FIRST_TOKEN', firstTokenMs, at)
    if (totalMs !== undefined) this.#limit('end', 'CAESURA_E_TIMEOUT_TOTAL', totalMs, at)
    if (isFirstCall(this.#transcript.request)) {
      for (const planned of this.#environment.planned) {
        if (planned.stage !== this.#stage.id || planned.afterMs === undefined) continue
        this.#schedule(`signal ${planned.afterMs} ${planned.input}`, at + msToNs(planned.afterMs), () =>
          this.#due(planned),
        )
      }
    }
    this.#step({ type: 'started', at })
  }

  /** A piece of text has come from the server. */
  arrived(at: Nanoseconds): void {
    if (this.#transcript.pieces === 1) this.#timers.get('first token')?.clear()
    const { stallMs } = this.#limits
    if (stallMs !== undefined) this.#limit('next token', 'CAESURA_E_TIMEOUT_STALL', stallMs, at)
  }

  /**
   * A piece of text is handed to the readers. `again`: it was seen before, by another owner of the run. `endings`: what `endingsIn` said of it,
   * where that was asked; then whoever listens to sentence ends was told of them.
   */
  token(at: Nanoseconds, text: string, again = false, endings?: number): void {
    this.#again = again
    const count = this.#transcript.uttered
    this.#step({ type: 'token', at, count, text })
    if (this.#environment.planned.size > 0 && !again) this.#countForPlanned(count)
    for (let ended = endings ?? this.#sentences.feed(text); ended > 0; ended--) {
      this.#sentenceCount += 1
      if (!again && endings === undefined) this.#listener.sentenceEnd()
      this.#step({ type: 'sentence-end', at, count: this.#sentenceCount })
    }
    this.#again = false
  }

  /** How many sentences are shown to be over by the text that is next. */
  endingsIn(text: string): number {
    return this.#sentences.feed(text)
  }

  /** The call has ended by itself, and its text is still being handed out: no limit holds any more. */
  ended(at: Nanoseconds): void {
    for (const name of limits) this.#timers.get(name)?.clear()
    this.#step({ type: 'ended', at })
  }

  /** A piece of thinking came: a sign of life, and no token. `again` as for `token`. */
  thinking(at: Nanoseconds, again = false): void {
    this.#lives({ type: 'thinking', at }, again)
  }

  /** A tool call came, whole: a sign of life, and no token. `again` as for `token`. */
  toolCall(at: Nanoseconds, again = false): void {
    this.#lives({ type: 'tool-call', at }, again)
  }

  #lives(event: CallEvent, again: boolean): void {
    this.#again = again
    this.#timers.get('first token')?.clear()
    const { stallMs } = this.#limits
    if (stallMs !== undefined) this.#limit('next token', 'CAESURA_E_TIMEOUT_STALL', stallMs, event.at)
    this.#step(event)
    this.#again = false
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#open = false
    for (const timer of this.#timers.values()) timer.clear()
    this.#timers.clear()
  }

  #step(event: CallEvent): void {
    if (this.#triggerState === undefined || !this.#open) return
    try {
      this.#ask(event)
    } catch (error) {
      this.#triggerState = undefined
      this.#listener.fault(error)
    }
  }

  #ask(event: CallEvent): void {
    const { name, parameter } = this.#stage.policy.trigger
    const trigger = triggerOf(this.#environment, name)
    const { state, interrupt, wakeAt } = stepOf(trigger, this.#triggerState, event, parameter)
    this.#triggerState = interrupt === undefined ? state : undefined
    if (interrupt !== undefined && !this.#again) this.#listener.trigger(interrupt)
    else if (wakeAt !== undefined) {
      if (event.type === 'wake' && wakeAt <= event.at) checkWakes(trigger, ++this.#lateWakes)
      this.#schedule('trigger', wakeAt, () => this.#step({ type: 'wake', at: this.#environment.journal.now() }))
    }
  }

  #countForPlanned(count: number): void {
    let total = 0
    for (const call of this.#environment.journal.calls.values()) total += call.uttered
    const first = isFirstCall(this.#transcript.request)
    for (const planned of this.#environment.planned) {
      if (planned.afterTokens === undefined) continue
      if (
        planned.stage === undefined
          ? total >= planned.afterTokens
          : first && planned.stage === this.#stage.id && count >= planned.afterTokens
      ) {
        this.#due(planned)
      }
    }
  }

  #due(planned: PlannedSignal): void {
    if (this.#open && this.#environment.planned.delete(planned)) this.#listener.signal(planned)
  }

  #limit(
    what: (typeof limits)[number],
    code: 'CAESURA_E_TIMEOUT_FIRST_TOKEN' | 'CAESURA_E_TIMEOUT_STALL' | 'CAESURA_E_TIMEOUT_TOTAL',
    ms: number,
    from: Nanoseconds,
  ): void {
    this.#schedule(what, from + msToNs(ms), () => {
      // The call has failed by now, though it has not settled yet: its trigger must not make an interrupt of that.
      this.#triggerState = undefined
      const waited = (this.#environment.journal.now() - this.#startedAt) / 1e6
      this.#listener.timeout(
        new CaesuraError(
          code,
          `stage ${this.#stage.id}: no ${what} within ${ms} ms (${Math.round(waited)} ms after the call's start${this.#came()})`,
        ),
      )
    })
  }

  /** What had come of the answer, for a message; empty where nothing had. */
  #came(): string {
    const { pieces, thoughts } = this.#transcript
    if (pieces + thoughts === 0) return ''
    const thinking = `${thoughts} piece${thoughts === 1 ? '' : 's'} of thinking and `
    const text = pieces === 0 ? 'no text' : `${pieces} piece${pieces === 1 ? '' : 's'} of text`
    return `; ${thoughts === 0 ? '' : thinking}${text} had come`
  }

  /** One timer a name, which always does the same: a newer instant replaces the older. */
  #schedule(name: string, at: Nanoseconds, wake: () => void): void {
    const { clock, journal } = this.#environment
    let timer = this.#timers.get(name)
    if (timer === undefined) {
      timer = new Alarm(clock, () => this.#open && wake())
      this.#timers.set(name, timer)
    }
    timer.set(journal.toClock(at))
  }
}
