import type { CallEnd, CallRequest } from '../../core/call.ts'
import { type Clock, msToNs, type Nanoseconds, nsToMs } from '../../core/clock.ts'
import { CaesuraError, CallCancelled } from '../../core/errors.ts'
import type { Backend } from '../../core/ports.ts'

/** What one call of a probe asks. */
export type Prompt = Pick<CallRequest, 'messages' | 'options'>

/** What was seen of one call. Instants on the probe's clock. */
export interface Answer {
  readonly end: CallEnd
  readonly startedAt: Nanoseconds
  /** Absent when no text came. */
  readonly firstAt?: Nanoseconds
  readonly lastAt?: Nanoseconds
  readonly endedAt: Nanoseconds
  /** Pieces of text. */
  readonly pieces: number
  readonly marks: ReadonlyMap<string, Nanoseconds>
}

/** A call that was sent. */
export interface Flight {
  readonly startedAt: Nanoseconds
  /** Resolves at the first token, or when it ends without one. */
  readonly began: Promise<void>
  /** Never rejects. */
  readonly ended: Promise<Answer>
  readonly firstAt: Nanoseconds | undefined
  readonly isOver: boolean
  abort(): void
}

/** Why a probe ends before it has measured everything. */
export class ProbeStopped extends Error {
  override readonly name = 'AbortError'
  readonly why: 'budget' | 'cancelled'

  constructor(why: 'budget' | 'cancelled') {
    super(why === 'budget' ? 'the budget of the probe is used up' : 'the probe was stopped')
    this.why = why
  }
}

export interface LineSettings {
  readonly backend: Backend
  readonly model: string
  readonly clock: Clock
  readonly budgetMs: number
  /** Aborted to stop the probe. */
  readonly signal: AbortSignal
}

/** Sends a probe's calls to one server, past any queue of ours, and ends them all when the probe stops. */
export class Line {
  readonly clock: Clock
  readonly startedAt: Nanoseconds
  readonly #settings: LineSettings
  readonly #stop = new AbortController()
  readonly #deadline: Nanoseconds
  readonly #flights = new Set<Flight>()
  readonly #withdraw: () => void
  #count = 0

  constructor(settings: LineSettings) {
    const { clock, budgetMs, signal } = settings
    this.#settings = settings
    this.clock = clock
    this.startedAt = clock.now()
    this.#deadline = this.startedAt + msToNs(budgetMs)
    const cancel = () => this.#end('cancelled')
    const disarm = clock.schedule(this.#deadline, () => this.#end('budget'))
    if (signal.aborted) cancel()
    else signal.addEventListener('abort', cancel, { once: true })
    this.#withdraw = () => {
      disarm()
      signal.removeEventListener('abort', cancel)
    }
  }

  #end(why: 'budget' | 'cancelled'): void {
    this.#stop.abort(new ProbeStopped(why))
    for (const flight of this.#flights) flight.abort()
  }

  get budgetMs(): number {
    return this.#settings.budgetMs
  }

  /** Of the budget. */
  get leftMs(): number {
    return Math.max(0, nsToMs(this.#deadline - this.clock.now()))
  }

  /** Throws `ProbeStopped` when the probe has been stopped. */
  check(): void {
    this.#stop.signal.throwIfAborted()
  }

  start(prompt: Prompt): Flight {
    this.check()
    const { backend, model, clock } = this.#settings
    this.#count += 1
    const controller = new AbortController()
    const marks = new Map<string, Nanoseconds>()
    const startedAt = clock.now()
    let firstAt: Nanoseconds | undefined
    let lastAt: Nanoseconds | undefined
    let pieces = 0
    let over = false
    let begin = () => {}
    const began = new Promise<void>((resolve) => {
      begin = resolve
    })
    const request: CallRequest = {
      ...prompt,
      callId: `probe.${this.#count}`,
      runId: 'probe',
      stage: 'probe',
      attempt: 1,
      model,
      placement: 'any',
    }
    const context = {
      clock,
      signal: controller.signal,
      mark: (name: string, at: Nanoseconds = clock.now()) => void (marks.has(name) || marks.set(name, at)),
      token: () => {
        lastAt = clock.now()
        firstAt ??= lastAt
        pieces += 1
        begin()
      },
      thinking: () => context.token(),
    }
    const ended = backend.generate(request, context).then((end): Answer => {
      over = true
      this.#flights.delete(flight)
      begin()
      const times = firstAt === undefined || lastAt === undefined ? {} : { firstAt, lastAt }
      return { end, startedAt, ...times, endedAt: clock.now(), pieces, marks }
    })
    const flight: Flight = {
      startedAt,
      began,
      ended,
      get firstAt() {
        return firstAt
      },
      get isOver() {
        return over
      },
      abort: () => controller.abort(new CallCancelled('the probe cancels this call')),
    }
    this.#flights.add(flight)
    return flight
  }

  /** The answer of a call that runs to its end. Throws `ProbeStopped`, and what the call failed with. */
  async answer(flight: Flight): Promise<Answer> {
    const answer = await flight.ended
    this.check()
    return checked(answer)
  }

  /** Sends a call and waits for its end. */
  ask(prompt: Prompt): Promise<Answer> {
    return this.answer(this.start(prompt))
  }

  /** Waits until the call's first token or its end. False when neither came within `boundMs`. Throws `ProbeStopped`. */
  async begins(flight: Flight, boundMs: number): Promise<boolean> {
    const timer = this.#timer(this.clock.now() + msToNs(boundMs))
    try {
      const came = await Promise.race([flight.began.then(() => true), timer.due.then(() => false)])
      this.check()
      return came
    } finally {
      timer.withdraw()
    }
  }

  /** Waits until an instant, but not longer than until a call ends. Throws `ProbeStopped`. */
  async until(at: Nanoseconds, flight?: Flight): Promise<void> {
    const timer = this.#timer(at)
    try {
      await Promise.race([timer.due, ...(flight === undefined ? [] : [flight.ended])])
      this.check()
    } finally {
      timer.withdraw()
    }
  }

  #timer(at: Nanoseconds): { due: Promise<void>; withdraw: () => void } {
    const { signal } = this.#stop
    let withdraw = () => {}
    const due = new Promise<void>((resolve) => {
      const disarm = this.clock.schedule(at, resolve)
      const stop = () => resolve()
      signal.addEventListener('abort', stop, { once: true })
      withdraw = () => {
        disarm()
        signal.removeEventListener('abort', stop)
      }
    })
    return { due, withdraw }
  }

  /** Does what the end of the probe cuts off. Throws `ProbeStopped`, and what the work throws. */
  async unlessStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.check()
    try {
      return await work(this.#stop.signal)
    } finally {
      this.check()
    }
  }

  /** Makes sure that `count` idle connections are open: a cancelled call takes its own with it. */
  async open(count: number): Promise<void> {
    const { backend } = this.#settings
    await this.unlessStopped(async (signal) => {
      const asked = Array.from({ length: count }, () => backend.server(signal))
      for (const outcome of await Promise.allSettled(asked)) if (outcome.status === 'rejected') throw outcome.reason
    })
  }

  /** Cancels these calls, or all, and waits until they have ended. */
  async clear(flights: Iterable<Flight> = this.#flights): Promise<void> {
    const all = [...flights]
    for (const flight of all) flight.abort()
    await Promise.all(all.map((flight) => flight.ended))
  }

  /** Ends everything. Never rejects. */
  async close(): Promise<void> {
    this.#withdraw()
    await this.clear()
  }
}

/** Throws what a call failed with. */
export function checked(answer: Answer): Answer {
  const { error } = answer.end
  if (answer.end.end === 'failed' && error !== undefined) throw new CaesuraError(error.code, error.message)
  return answer
}
