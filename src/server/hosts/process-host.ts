import { randomUUID } from 'node:crypto'
import { endedAnswer, endedHearing, type Signal, type SignalAnswer } from '../../core/engine.ts'
import { CaesuraError } from '../../core/errors.ts'
import type { RunEvent } from '../../core/event.ts'
import type { Figures } from '../../core/figures.ts'
import {
  type FleetNode,
  type FleetRun,
  type RunFilter,
  type SubmitOptions,
  type TurnOptions,
  unknownRun,
} from '../../core/fleet.ts'
import type { HostedRunStore, HostingEngine, NotedRun, RunNote } from '../../core/hosting.ts'
import type { Log } from '../../core/log.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { RunStore } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import type { RunRecord } from '../../core/record.ts'
import { eventsGone, type HostedRunLine, type HostedTurn, type RunHost } from '../../core/run-host.ts'
import { tellEnd } from '../../core/run-line.ts'
import { checkSession, type KeptSession } from '../../core/session.ts'
import type { SessionRun } from '../../core/session-lines.ts'
import type { Acknowledgement, AcknowledgementAnswer } from '../../core/speaking.ts'
import { within } from '../../core/within.ts'
import { runIdPattern } from '../api/schemas.ts'
import { EndedRuns, type KeptLimits } from './ended-runs.ts'
import { KeptRun } from './kept-run.ts'
import { listRuns } from './run-pages.ts'
import { storedLine } from './stored-line.ts'
import { defaultHostLimits, type HostLimits, Turns } from './turns.ts'

/** How long it may take to cancel runs that wait, however many, ms. */
const CLOSING_MS = 5000

export interface ProcessHostSettings {
  readonly engine: HostingEngine
  /** Where the engine writes the records of its runs. */
  readonly store: HostedRunStore & Pick<RunStore, 'read'>
  readonly limits?: Partial<HostLimits>
  readonly kept?: Partial<KeptLimits>
  /** The nodes of this process, as they are now. */
  nodes(): Promise<readonly FleetNode[]>
  readonly log: Log
}

/**
 * Runs that this process hosts. Live ones are in memory; of those that have ended the record is in the store, and for a while their
 * events and texts are here.
 */
export class ProcessHost implements RunHost {
  readonly #settings: ProcessHostSettings
  readonly #turns: Turns
  readonly #live = new Map<string, KeptRun>()
  readonly #ended: EndedRuns
  /** Those that have ended and whose record is not written yet, with the number of their last event. */
  readonly #unnoted = new Map<string, number>()
  /** Why no run is taken any more. */
  #refusal: CaesuraError | undefined
  #stopped: Promise<void> | undefined

  constructor(settings: ProcessHostSettings) {
    this.#settings = settings
    this.#ended = new EndedRuns(settings.kept)
    this.#turns = new Turns({ ...defaultHostLimits, ...settings.limits }, (run) => {
      run.begin((record, error) => this.#end(run, record, error))
    })
  }

  async submit(
    pipeline: Pipeline,
    options: SubmitOptions,
  ): Promise<{ runId: string; traceId: string; isNew: boolean }> {
    const { runId = randomUUID(), tenant = '', priority = 0, fingerprint, submittedBy, models: _, ...start } = options
    if (!runIdPattern.test(runId)) {
      throw new CaesuraError('CAESURA_E_USAGE', 'a run id is 1 to 100 letters, digits, - or _', { received: runId })
    }
    const known = this.#traceOf(runId)
    if (known !== undefined) return { runId, traceId: known, isNew: false }
    if (this.#refusal !== undefined) throw this.#refusal
    this.#turns.check()
    const prepared = this.#settings.engine.prepare(
      pipeline,
      { ...start, ...present({ tenant: options.tenant }), runId },
      present({ submittedBy }),
    )
    const { traceId } = prepared
    const note: RunNote = {
      ...{ runId, traceId, pipeline: pipeline.name, tenant, submittedAt: Date.now() },
      ...present({ submittedBy, fingerprint }),
    }
    // Another process may have recorded one of this id just now.
    if (!this.#settings.store.note(note)) return { runId, traceId: this.#traceOf(runId) ?? traceId, isNew: false }
    const run = new KeptRun(note, start.input, prepared)
    // The more a tenant has, the later its next run begins.
    const place = tenant === '' ? priority : priority + this.#countOf(tenant)
    this.#live.set(runId, run)
    this.#turns.add(run, place)
    return { runId, traceId, isNew: true }
  }

  async say(pipeline: Pipeline, turn: TurnOptions, limitMs: number): Promise<HostedTurn> {
    const { runId = randomUUID(), busy = pipeline.busy ?? 'interrupt', session, submittedBy, ...more } = turn
    const { tenant = '', priority = 0, models: _, fingerprint: __, ...start } = more
    checkSession(session)
    if (this.#refusal !== undefined) throw this.#refusal
    this.#turns.check()
    const { engine, store } = this.#settings
    const wanted = { ...start, ...present({ tenant: turn.tenant }), session, runId }
    const prepared = engine.prepare(pipeline, wanted, { ...present({ submittedBy }), said: true })
    const { traceId } = prepared
    const note: RunNote = {
      ...{ runId, traceId, pipeline: pipeline.name, tenant, submittedAt: Date.now() },
      ...present({ submittedBy }),
    }
    const run = new KeptRun(note, start.input, prepared)
    const leave = () => {
      this.#live.delete(runId)
      run.drop()
    }
    const begin = () => {
      store.note(note)
      // The more a tenant has, the later its next run begins.
      this.#turns.add(run, tenant === '' ? priority : priority + this.#countOf(tenant))
    }
    const say: SessionRun['say'] = (input, own) => run.say(input, own)
    const cancel = (reason: string) => void this.leave(runId, reason)
    const taken = engine.lines.take(session, { runId, begin, seen: leave, drop: leave, say, cancel }, busy)
    this.#live.set(runId, run)
    if (taken.became === 'run') begin()
    if (taken.became !== 'signal') return { became: taken.became, runId, traceId }
    let answer: SignalAnswer | undefined
    await within(
      limitMs,
      taken.live.say(start.input, runId).then((decided) => {
        answer = decided
      }),
    )
    return { became: 'signal', runId: taken.live.runId, ownRunId: runId, ...present({ answer }) }
  }

  async session(id: string): Promise<KeptSession | undefined> {
    return this.#settings.engine.sessions.read(id)
  }

  async deleteSession(id: string, tenant?: string): Promise<boolean> {
    const { sessions, lines } = this.#settings.engine
    const kept = sessions.read(id)
    if (tenant !== undefined && kept !== undefined && kept.tenant !== tenant) return false
    for (const run of lines.drain(id)) run.drop()
    const live = lines.live(id)
    const isDeleted = sessions.delete(id)
    live?.cancel('the session was deleted')
    return isDeleted || live !== undefined
  }

  async fingerprintOf(runId: string): Promise<string | undefined> {
    return (this.#run(runId)?.note ?? this.#settings.store.noted(runId))?.fingerprint
  }

  async read(runId: string): Promise<FleetRun> {
    const line = await this.look(runId)
    if (line.ended === undefined) return line
    return { ...line, record: this.#run(runId)?.record ?? this.#settings.store.read(runId) }
  }

  async look(runId: string): Promise<HostedRunLine> {
    return this.#run(runId)?.line ?? storedLine(this.#noted(runId))
  }

  async list(filter: RunFilter = {}) {
    return listRuns([...this.#live.values()], this.#settings.store, filter)
  }

  async *events(runId: string, seq = 0, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined> {
    const run = this.#run(runId)
    if (run !== undefined) yield* run.events(seq, signal)
    else if (this.#noted(runId).seq !== seq) throw eventsGone(runId)
  }

  async heard(runId: string, acknowledgement: Acknowledgement): Promise<AcknowledgementAnswer> {
    const run = this.#run(runId)
    if (run === undefined) this.#noted(runId)
    return run?.heard(acknowledgement) ?? endedHearing
  }

  async interrupt(runId: string, signal: Signal, limitMs: number): Promise<SignalAnswer | undefined> {
    const run = this.#run(runId)
    if (run === undefined) {
      this.#noted(runId)
      return endedAnswer
    }
    let answer: SignalAnswer | undefined
    await within(
      limitMs,
      run.interrupt(signal).then((decided) => {
        answer = decided
      }),
    )
    return answer
  }

  async cancel(runId: string, reason = 'cancelled'): Promise<boolean> {
    const run = this.#run(runId)
    if (run === undefined) this.#noted(runId)
    if (run === undefined || run.hasEnded) return false
    // One that waits begins so that it can end: it has a record then, as any.
    this.#turns.ahead(run)
    run.cancel(reason)
    return true
  }

  async leave(runId: string, reason: string): Promise<void> {
    await this.cancel(runId, reason).catch(() => false)
  }

  nodes(): Promise<readonly FleetNode[]> {
    return this.#settings.nodes()
  }

  /** Nothing is put aside here: what cannot go on fails. */
  async dead() {
    return []
  }

  async deadRun(runId: string): Promise<never> {
    throw notDead(runId)
  }

  async retryDead(runId: string): Promise<never> {
    throw notDead(runId)
  }

  async dropDead() {
    return false
  }

  async ready(): Promise<void> {
    if (this.#refusal !== undefined) throw this.#refusal
    this.#settings.store.noted('')
  }

  watch(figures: Figures): () => void {
    return figures.watch(() => {
      const { nodes, waiting } = this.#settings.engine.usage()
      const ofNodes = (read: (each: (typeof nodes)[number]) => number) =>
        nodes.map((each) => ({ value: read(each), labels: { node: each.node.name, pool: each.node.pool } }))
      return {
        'caesura.node.slots': ofNodes(({ node }) => node.slots),
        'caesura.node.busy': ofNodes(({ busy }) => busy),
        'caesura.queue.waiting': [
          { value: this.#turns.waiting, labels: { queue: 'runs' } },
          { value: waiting, labels: { queue: 'calls' } },
        ],
        'caesura.runs.live': this.#live.size,
      }
    })
  }

  /** Notes how far the live runs have come, for the case that this process ends without ending them. Throws `CAESURA_E_RECORDS`. */
  noteProgress(): void {
    const runs = [...this.#live.values()].map((run) => ({ runId: run.note.runId, seq: run.seq }))
    this.#settings.store.seen(runs, Date.now())
    for (const [runId, seq] of this.#unnoted) if (this.#settings.store.ended(runId, seq)) this.#unnoted.delete(runId)
  }

  /** Takes no run from now on. Those that there are go on. */
  refuse(reason: CaesuraError): void {
    this.#refusal ??= reason
  }

  /** Cancels what is live, and resolves when it has ended and its records are written: in bounded time, as `Engine.close`, whose faults it throws. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.refuse(new CaesuraError('CAESURA_E_FLEET_FULL', 'this server stops: it takes no run any more'))
    this.#turns.close()
    const until = performance.now() + CLOSING_MS
    // Those that go on come first: they were submitted first.
    for (const runId of [...this.#live.keys()]) {
      if (performance.now() > until) break
      await this.cancel(runId, 'the server is stopping')
    }
    await this.#settings.engine.close()
    const left = this.#turns.waiting
    if (left > 0) this.#settings.log.warn(`${left} runs that waited are found as failed at the next start`, { left })
  }

  #run(runId: string): KeptRun | undefined {
    return this.#live.get(runId) ?? this.#ended.get(runId)
  }

  /** Throws `CAESURA_E_RUN_UNKNOWN`. */
  #noted(runId: string): NotedRun {
    const noted = this.#settings.store.noted(runId)
    if (noted === undefined) throw unknownRun(runId)
    return noted
  }

  #traceOf(runId: string): string | undefined {
    const { store } = this.#settings
    return (this.#run(runId)?.note ?? store.noted(runId))?.traceId ?? store.recordedTrace(runId)
  }

  #countOf(tenant: string): number {
    let count = 0
    for (const run of this.#live.values()) if (run.note.tenant === tenant) count += 1
    return count
  }

  #end(run: KeptRun, record: RunRecord | undefined, error?: unknown): void {
    const { runId } = run.note
    const { store, log } = this.#settings
    try {
      if (record === undefined) throw error
      tellEnd(log, record, run.input)
      if (!store.ended(runId, run.seq)) this.#unnoted.set(runId, run.seq)
    } catch (fault) {
      this.#unnoted.set(runId, run.seq)
      log.error(`the end of the run ${runId} cannot be noted`, { run_id: runId, error: fault as Error })
    }
    this.#live.delete(runId)
    this.#ended.add(run)
    this.#turns.left()
  }
}

const notDead = (runId: string): CaesuraError =>
  new CaesuraError('CAESURA_E_RUN_UNKNOWN', 'no run of this id was put aside', { received: runId })
