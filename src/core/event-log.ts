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

  constructor(runId: string) {
    this.#runId = runId
  }

  /** The `seq` of the last event that any reader was handed; 0 before that. */
  get deliveredSeq(): number {
    return this.#delivered
  }

  append(ms: number, body: RunEventBody): void {
    this.#events.push({ seq: this.#events.length + 1, runId: this.#runId, ms, ...body })
    this.#wake()
  }

  /** No event follows; readers end after the last one. */
  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** The events after `seq`, then those to come, to the end of the run. */
  async *after(seq: number): AsyncGenerator<RunEvent, void, undefined> {
    let next = seq
    for (;;) {
      while (next < this.#events.length) {
        const event = this.#events[next]!
        next += 1
        if (next > this.#delivered) this.#delivered = next
        yield event
      }
      if (this.#ended) return
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
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

  #wake(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const resume of waiting) resume()
  }
}
