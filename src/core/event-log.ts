import type { RunEvent, RunEventBody } from './event.ts'

/**
 * The numbered events of one run, kept from the first on, so that any number of readers may start anywhere, and none slows the
 * run down. What bounds it is the limit on a run's output (`OutputAllowance`): the other events are few.
 * An event counts as delivered once it was handed to a reader; what only lies here does not.
 */
export class EventLog {
  readonly #runId: string
  readonly #events: RunEvent[] = []
  #waiting: (() => void)[] = []
  #ended = false
  #delivered = 0
  #listener: ((event: RunEvent) => void) | undefined

  /** `told`: the events so far, from the first on, of a run that goes on here. */
  constructor(runId: string, told: readonly RunEvent[] = []) {
    this.#runId = runId
    this.#events.push(...told)
  }

  /** The `seq` of the last event that any reader was handed; 0 before that. */
  get deliveredSeq(): number {
    return this.#delivered
  }

  /** How many there are so far. */
  get length(): number {
    return this.#events.length
  }

  append(ms: number, body: RunEventBody): void {
    const event = { seq: this.#events.length + 1, runId: this.#runId, ms, ...body }
    this.#events.push(event)
    this.#listener?.(event)
    this.#wake()
  }

  /** The one who passes events on to other processes: hears of each at once. Nothing counts as delivered by that. */
  set listener(listener: (event: RunEvent) => void) {
    this.#listener = listener
  }

  /** What was told after `seq` until now, without delivering it: the first `most` of it. */
  since(seq: number, most = Number.POSITIVE_INFINITY): readonly RunEvent[] {
    return this.#events.slice(seq, seq + most)
  }

  /** A reader in another process was handed the events up to `seq`. */
  noteDelivered(seq: number): void {
    this.#delivered = Math.max(this.#delivered, Math.min(seq, this.#events.length))
  }

  /** A reader in another process has so much of a call's text, UTF-16 units: the events up to there were handed to it. */
  noteHeard(callId: string, characters: number): void {
    let length = 0
    for (const event of this.#events) {
      if (length >= characters) return
      if (event.type !== 'token' || event.callId !== callId) continue
      length += event.text.length
      this.noteDelivered(event.seq)
    }
  }

  /** No event follows; readers end after the last one. */
  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** The events after `seq`, then those to come, to the end of the run or until the signal is aborted. */
  async *after(seq: number, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined> {
    let next = seq
    for (;;) {
      while (next < this.#events.length && !signal?.aborted) {
        const event = this.#events[next]!
        next += 1
        if (next > this.#delivered) this.#delivered = next
        yield event
      }
      // An event that comes after its reader has left is delivered to nobody.
      if (this.#ended || signal?.aborted) return
      await this.#news(signal)
    }
  }

  /** The text of a call that readers were handed. A prefix of what it generated. */
  deliveredText(callId: string): { readonly text: string; readonly tokens: number } {
    let text = ''
    let tokens = 0
    for (let index = 0; index < this.#delivered; index++) {
      const event = this.#events[index]!
      if (event.type === 'token' && event.callId === callId) {
        text += event.text
        tokens += 1
      }
    }
    return { text, tokens }
  }

  /** When the last token of each call was told, ms from the run's start. */
  lastTokens(): ReadonlyMap<string, number> {
    const last = new Map<string, number>()
    for (const event of this.#events) if (event.type === 'token') last.set(event.callId, event.ms)
    return last
  }

  /** Resolves when there is an event more, or none will come, or the signal is aborted. */
  async #news(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    const leave = () => resolve()
    signal?.addEventListener('abort', leave, { once: true })
    await promise
    signal?.removeEventListener('abort', leave)
  }

  #wake(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const resume of waiting) resume()
  }
}
