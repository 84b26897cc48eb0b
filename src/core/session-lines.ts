import type { RunHandle, SignalAnswer } from './engine.ts'
import type { Busy } from './pipeline.ts'
import { busySession } from './session.ts'

/** A run of a session: one that is live, or one that an input becomes where no visit of the live run sees it. */
export interface SessionRun {
  readonly runId: string
  /** It is its turn. Called at most once. */
  begin(): void
  /** A visit of the run before has seen its input: it never begins. */
  seen(): void
  /** Its session was deleted while it waited: it never begins. */
  drop(): void
  /** Sends it an input of the session, as `HostedRun.say`. */
  say(input: string, own: string): Promise<SignalAnswer>
  /** Orders it to end, now or when it has begun. */
  cancel(reason: string): void
  /** For who has nothing else to follow it by. */
  readonly handle?: RunHandle
}

/** What became of an input. */
export type Taken<R> =
  | { readonly became: 'run' }
  | { readonly became: 'signal'; readonly live: R }
  | { readonly became: 'queue' }

interface Line<R> {
  live: R
  /** Inputs that no visit has seen, in the order in which they were said. */
  readonly waiting: { readonly run: R /** The run that it was sent to as a signal. */; readonly sentTo?: R }[]
}

/**
 * Who is at it in each session, and what waits, in one process. An input waits as the run that it would become until a visit has seen it, so none is lost
 * whatever the policy of the live run makes of its signal; and one that would overtake those that wait for the live run's end waits behind them.
 */
export class SessionLines<R extends SessionRun = SessionRun> {
  readonly #lines = new Map<string, Line<R>>()

  /** Sessions with a live run. */
  get size(): number {
    return this.#lines.size
  }

  live(session: string): R | undefined {
    return this.#lines.get(session)?.live
  }

  /** Takes an input in as the run that it would become. Nothing is begun or sent here. Throws `CAESURA_E_SESSION_BUSY`. */
  take(session: string, run: R, busy: Busy): Taken<R> {
    const line = this.#lines.get(session)
    if (line === undefined) {
      this.#lines.set(session, { live: run, waiting: [] })
      return { became: 'run' }
    }
    if (busy === 'reject') throw busySession(session)
    const { live, waiting } = line
    const last = waiting.at(-1)
    const isSignal = busy === 'interrupt' && (last === undefined || last.sentTo === live)
    waiting.push({ run, ...(isSignal && { sentTo: live }) })
    return isSignal ? { became: 'signal', live } : { became: 'queue' }
  }

  /** A run of the session began by itself: new inputs are for it, where there is no other live one. */
  join(session: string, run: R): void {
    if (!this.#lines.has(session)) this.#lines.set(session, { live: run, waiting: [] })
  }

  /** Visits of the live run have seen these inputs. */
  seen(session: string, own: readonly string[]): void {
    for (const runId of own) this.#take(session, runId)?.seen()
  }

  /** A run has ended. Begins the next one of its session. */
  ended(session: string, runId: string): void {
    const line = this.#lines.get(session)
    if (line?.live.runId !== runId) return
    const next = line.waiting.shift()?.run
    if (next === undefined) {
      this.#lines.delete(session)
      return
    }
    line.live = next
    next.begin()
  }

  /** Takes out all that waits in a session, or in all of them, in its order. */
  drain(session?: string): R[] {
    const lines = session === undefined ? [...this.#lines.values()] : [this.#lines.get(session)]
    return lines.flatMap((line) => line?.waiting.splice(0).map(({ run }) => run) ?? [])
  }

  #take(session: string, runId: string): R | undefined {
    const { waiting } = this.#lines.get(session) ?? {}
    const at = waiting?.findIndex(({ run }) => run.runId === runId) ?? -1
    return at < 0 ? undefined : waiting?.splice(at, 1)[0]?.run
  }
}
