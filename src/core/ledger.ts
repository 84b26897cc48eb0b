import type { Nanoseconds } from './clock.ts'

/** The instants that a run keeps. All timing of spans, metrics, records and reports is derived from them. */
export const markNames = [
  'call-start', // handed to the executor; waits for a slot from here
  'work-start', // the kind of its step does it in this process, and begins
  'queued', // its ticket lies in a queue for workers; absent where calls are made in this process
  'slot-acquired',
  'connect-start',
  'connected', // absent, like connect-start, on a connection that was open already
  'request-sent', // the last byte of the request
  'headers',
  'load-start',
  'load-end',
  'prefill-start',
  'prefill-end',
  'first-piece', // of any kind: thinking or text
  'first-token', // the first text
  'last-token', // the last text
  'interrupt', // the call was interrupted
  'abort-requested',
  'done', // the last line of a complete answer was read
  'closed', // the connection is seen closed, or the sequence is free
  'slot-free', // an outside witness saw the server's slot free after an abort
  'slot-released',
  'settled',
  'spoken', // its text was handed out and, where that is waited for, acknowledged; or it was stopped. Only where it is spoken at a pace or acknowledged
] as const

export type MarkName = (typeof markNames)[number]

export interface Mark {
  readonly name: MarkName
  readonly at: Nanoseconds
}

/** The marks of one call in the order in which they were set. A name is set once: the first time counts. */
export class Ledger {
  readonly #marks: Mark[]

  constructor(marks: readonly Mark[] = []) {
    this.#marks = [...marks]
  }

  set(name: MarkName, at: Nanoseconds): void {
    if (this.at(name) === undefined) this.#marks.push({ name, at })
  }

  at(name: MarkName): Nanoseconds | undefined {
    for (const mark of this.#marks) if (mark.name === name) return mark.at
    return undefined
  }

  /** By instant; marks of one instant in the order in which they were set. */
  toArray(): Mark[] {
    return this.#marks.toSorted((a, b) => a.at - b.at)
  }
}
