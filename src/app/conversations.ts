import { randomUUID } from 'node:crypto'
import { checkedHandle, readSay, readSession } from '../core/caller-input.ts'
import type { Became, RunHandle, Said, SayOptions, Session, SignalAnswer, StartOptions } from '../core/engine.ts'
import type { RunEvent } from '../core/event.ts'
import type { EngineRun, HostingEngine, PreparedRun } from '../core/hosting.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { type KeptSession, unknownSession } from '../core/session.ts'
import type { SessionLines, SessionRun } from '../core/session-lines.ts'

/** An input of a session in this process: the run that it is, or would become. */
class SaidRun implements SessionRun {
  readonly runId: string
  readonly #prepared: PreparedRun
  readonly #lines: SessionLines
  readonly #session: string
  /** Settled once: it has begun, or a visit of another run has seen its input and it never begins. Rejects where its session was deleted. */
  readonly #fate = Promise.withResolvers<EngineRun | undefined>()
  #run: EngineRun | undefined

  constructor(runId: string, prepared: PreparedRun, { lines, session }: { lines: SessionLines; session: string }) {
    this.runId = runId
    this.#prepared = prepared
    this.#lines = lines
    this.#session = session
    this.#fate.promise.catch(() => undefined)
  }

  /** The run, once it has begun; undefined where it never does. */
  get fate(): Promise<EngineRun | undefined> {
    return this.#fate.promise
  }

  /** Why it could not begin. */
  fault: unknown

  begin(): void {
    try {
      this.#run = this.#prepared.begin()
      this.#fate.resolve(this.#run)
    } catch (fault) {
      this.fault = fault
      this.#fate.reject(fault)
      this.#lines.ended(this.#session, this.runId)
    }
  }

  seen(): void {
    this.#fate.resolve(undefined)
  }

  drop(): void {
    this.#fate.reject(unknownSession(this.#session))
  }

  say(input: string, own: string): Promise<SignalAnswer> {
    return this.#begun((run) => run.say(input, own))
  }

  /** One that waits ends when its turn has come: its input has its place among the turns, and it has a record, as any. */
  cancel(reason?: string): void {
    void this.#fate.promise.then((run) => run?.cancel(reason)).catch(() => undefined)
  }

  get handle(): RunHandle {
    if (this.#run !== undefined) return this.#run
    const eventsAfter = (seq: number) => this.#events(seq)
    const result = this.#begun((run) => run.result)
    result.catch(() => undefined)
    return checkedHandle({
      ...{ runId: this.runId, traceId: this.#prepared.traceId, eventsAfter, result },
      events: { [Symbol.asyncIterator]: () => eventsAfter(0) },
      interrupt: (signal) => this.#begun((run) => run.interrupt(signal)),
      heard: (acknowledgement) => this.#begun((run) => run.heard(acknowledgement)),
      cancel: (reason) => this.cancel(reason),
    })
  }

  async #begun<T>(ask: (run: EngineRun) => Promise<T>): Promise<T> {
    const run = await this.#fate.promise
    if (run === undefined) throw unknownSession(this.#session)
    return ask(run)
  }

  async *#events(seq: number): AsyncGenerator<RunEvent, void, undefined> {
    const run = await this.#fate.promise
    if (run !== undefined) yield* run.eventsAfter(seq)
  }
}

/** A session of an engine in this process. Throws `CAESURA_E_USAGE`. */
export function openSession(engine: HostingEngine, pipeline: Pipeline, id: string, given?: SessionOptions): Session {
  const { pipeline: checked, options } = readSession(pipeline, id, given)
  const { tenant = '' } = options
  const { lines, sessions } = engine

  /** Throws `CAESURA_E_SESSION_UNKNOWN` for one of another tenant. */
  function look(): KeptSession | undefined {
    const kept = sessions.read(id)
    if (kept !== undefined && kept.tenant !== tenant) throw unknownSession(id)
    return kept
  }

  function say(said: string, more?: SayOptions): Said {
    const { input, options: own } = readSay(said, more)
    const { busy = checked.busy ?? 'interrupt', ...start } = own
    const runId = randomUUID()
    const wanted = { ...options, ...start, ...joined(options, start), input, session: id, runId }
    const run = new SaidRun(runId, engine.prepare(checked, wanted, { said: true }), { lines, session: id })
    const taken = lines.take(id, run, busy)
    if (taken.became === 'signal') return signalled(run, taken.live, taken.live.say(input, runId))
    if (taken.became === 'run') run.begin()
    if (run.fault !== undefined) throw run.fault
    const { handle } = run
    return { ...handle, became: Promise.resolve({ kind: taken.became }), answeredIn: Promise.resolve(handle) }
  }

  /** The handle of the live run, and what becomes of the input. */
  function signalled(run: SaidRun, { handle }: SessionRun, answer: Promise<SignalAnswer>): Said {
    const became = Promise.all([answer, run.fate]).then(
      ([decided, begun]): Became => ({ kind: 'signal', answer: decided, isSeen: begun === undefined }),
    )
    const answeredIn = run.fate.then((begun): RunHandle => begun ?? handle!)
    for (const promise of [became, answeredIn]) promise.catch(() => undefined)
    return { ...handle!, became, answeredIn }
  }

  return {
    id,
    say,
    turns: async () => look()?.turns ?? [],
    async delete() {
      look()
      for (const run of lines.drain(id)) run.drop()
      const live = lines.live(id)
      const isDeleted = sessions.delete(id)
      live?.cancel('the session was deleted')
      return isDeleted || live !== undefined
    },
  }
}

type SessionOptions = Pick<StartOptions, 'vars' | 'tags' | 'tenant'>

const joined = (all: SessionOptions, own: SayOptions): Pick<StartOptions, 'vars' | 'tags'> => ({
  ...(all.vars !== undefined && { vars: { ...all.vars, ...own.vars } }),
  ...(all.tags !== undefined && { tags: { ...all.tags, ...own.tags } }),
})
