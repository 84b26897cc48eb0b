import { randomUUID } from 'node:crypto'
import { endedAnswer, endedHearing, type Signal, type SignalAnswer } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import {
  type DeadEntry,
  type DeadRun,
  type Fleet,
  type FleetAddress,
  type FleetLimits,
  type FleetLoad,
  type FleetNode,
  type FleetRun,
  type FleetRunLine,
  type RunFilter,
  type SubmitOptions,
  type TurnOptions,
  type TurnTaken,
  unknownRun,
} from '../core/fleet.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import type { KeptSession } from '../core/session.ts'
import type { Acknowledgement, AcknowledgementAnswer } from '../core/speaking.ts'
import { DeadRuns } from './dead-runs.ts'
import { DeliveredNotes } from './delivered-notes.ts'
import { type FleetClock, fleetClock } from './fleet-clock.ts'
import { readLoad } from './fleet-load.ts'
import { readSession } from './fleet-sessions.ts'
import { Inbox } from './inbox.ts'
import { readNodes } from './node-directory.ts'
import { type FleetRedis, openFleetRedis } from './redis.ts'
import { listRuns, lookAt, readRecord, UNREADABLE } from './run-list.ts'
import { marksOf, RunReader, told } from './run-reader.ts'
import { RunSubmitter } from './run-submitter.ts'
import { TicketQueues } from './ticket-queues.ts'
import { asEvent, type SignalPayload, unreadable } from './wire.ts'
import { within } from './within.ts'

/** Submits runs to a fleet, reads them, interrupts and cancels them, from any process. */
export class FleetClient implements Fleet {
  readonly redis: FleetRedis
  #clock: FleetClock | undefined
  #isClosed = false
  readonly #inbox: Inbox
  readonly #tickets: TicketQueues
  readonly #submitter: RunSubmitter
  readonly #delivered: DeliveredNotes
  readonly #readers = new Map<string, Set<RunReader>>()
  readonly #answers = new Map<string, (answer: SignalAnswer) => void>()
  readonly #check: NodeJS.Timeout

  /** Throws `CAESURA_E_REDIS`. */
  static async open(address: FleetAddress, limits?: FleetLimits): Promise<FleetClient> {
    const client = new FleetClient(await openFleetRedis(address), limits)
    await client.#inbox.open()
    return client
  }

  private constructor(redis: FleetRedis, limits?: FleetLimits) {
    this.redis = redis
    // Nothing waits for it: a signal that is sent before it is known says not when.
    void fleetClock(redis).then(
      (clock) => {
        this.#clock = clock
        if (this.#isClosed) clock.close()
      },
      () => undefined,
    )
    this.#inbox = new Inbox(redis)
    this.#tickets = new TicketQueues(redis)
    this.#submitter = new RunSubmitter(redis, this.#tickets, limits)
    this.#delivered = new DeliveredNotes(redis)
    this.#inbox.on('events', (runId, events, owner) => {
      if (!this.#readers.has(runId as string)) return
      if (typeof owner === 'string') this.#delivered.owner(runId as string, owner)
      const all = told(Array.isArray(events) ? events.map(asEvent).filter((event) => event !== undefined) : [])
      for (const reader of this.#readers.get(runId as string) ?? []) reader.take(all)
    })
    this.#inbox.on('answer', (id, answer) => {
      this.#answers.get(id as string)?.(answer as SignalAnswer)
      this.#answers.delete(id as string)
    })
    this.#inbox.onGap(() => this.#catchUp())
    // Redis may have lost a run, or the end that its readers wait for.
    this.#check = setInterval(() => this.#catchUp(), CHECK_MS)
    this.#check.unref()
  }

  submit(asked: Pipeline, options: SubmitOptions): Promise<{ runId: string; traceId: string; isNew: boolean }> {
    return this.#submitter.submit(asked, options)
  }

  async say(asked: Pipeline, options: TurnOptions): Promise<TurnTaken> {
    const id = randomUUID()
    const answer = new Promise<SignalAnswer>((resolve) => this.#answers.set(id, resolve))
    const sentAt = this.#clock?.wall()
    const payload = (own: string): SignalPayload => [
      'interrupt',
      { ...present({ sentAt }), input: options.input, own },
      { inbox: this.#inbox.id, id },
    ]
    try {
      const { became, runId, traceId, live } = await this.#submitter.say(asked, options, { id, payload })
      if (became === 'signal') return { became, runId: live, ownRunId: runId, answer }
      this.#answers.delete(id)
      return { became, runId, traceId }
    } catch (error) {
      this.#answers.delete(id)
      throw error
    }
  }

  session(id: string): Promise<KeptSession | undefined> {
    return readSession(this.redis, id)
  }

  async deleteSession(id: string, tenant?: string): Promise<boolean> {
    const [answer, live = ''] = await this.redis.call(
      'deleteSession',
      id,
      tenant ?? '',
      tenant === undefined ? '1' : '0',
    )
    if (answer === 'ok' && live !== '') await this.cancel(live, 'the session was deleted')
    return answer === 'ok'
  }

  async read(runId: string): Promise<FleetRun> {
    const line = await this.look(runId)
    if (line.status !== 'ended') return line
    const [status, kept] = await this.redis.client.hmget(this.redis.keys.run(runId), 'status', 'record')
    // Redis may have lost it since.
    if (status === null) throw unknownRun(runId)
    const record = readRecord(kept)
    if (record !== undefined) return { ...line, record }
    return { ...line, dead: line.dead ?? UNREADABLE }
  }

  async look(runId: string): Promise<FleetRunLine> {
    const line = await lookAt(this.redis, runId)
    if (line === undefined) throw unknownRun(runId)
    return line
  }

  list(filter: RunFilter = {}): Promise<{ runs: FleetRunLine[]; cursor?: string }> {
    return listRuns(this.redis, filter)
  }

  async *events(runId: string, seq = 0, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined> {
    for await (const event of this.#follow(runId, seq, signal)) {
      this.#delivered.note(runId, event.seq)
      yield event
    }
  }

  /** Resolves when the run has ended. Throws as `events` does. */
  async ended(runId: string): Promise<void> {
    const { seq, status } = await this.read(runId)
    if (status === 'ended') return
    for await (const event of this.#follow(runId, seq)) if (event.type === 'run-end') return
  }

  async interrupt(runId: string, { input, heard }: Signal = {}): Promise<SignalAnswer> {
    const id = randomUUID()
    const answered = new Promise<SignalAnswer>((resolve) => this.#answers.set(id, resolve))
    const sentAt = this.#clock?.wall()
    const asked = present({ input, sentAt, heard })
    const payload: SignalPayload = ['interrupt', asked, { inbox: this.#inbox.id, id }]
    const [answer] = await this.redis.call('signal', runId, JSON.stringify(payload), id, '')
    if (answer === 'ok') return answered
    this.#answers.delete(id)
    if (answer === 'unknown') throw unknownRun(runId)
    if (answer === 'broken') throw unreadable(`the signals of the run ${runId}`)
    return endedAnswer
  }

  async heard(runId: string, acknowledgement: Acknowledgement): Promise<AcknowledgementAnswer> {
    const payload: SignalPayload = ['heard', { ...acknowledgement }]
    const [answer] = await this.redis.call('signal', runId, JSON.stringify(payload), randomUUID(), '')
    if (answer === 'unknown') throw unknownRun(runId)
    if (answer === 'broken') throw unreadable(`the signals of the run ${runId}`)
    return answer === 'ok' ? { accepted: true } : endedHearing
  }

  async cancel(runId: string, reason = 'cancelled'): Promise<boolean> {
    const [answer] = await this.redis.call('signal', runId, JSON.stringify(['cancel', reason]), randomUUID(), reason)
    if (answer === 'unknown') throw unknownRun(runId)
    if (answer === 'broken') throw unreadable(`the signals of the run ${runId}`)
    return answer === 'ok'
  }

  async stopExperiment(name: string): Promise<boolean> {
    return (await this.redis.client.sadd(this.redis.keys.stopped, name)) === 1
  }

  async resumeExperiment(name: string): Promise<boolean> {
    return (await this.redis.client.srem(this.redis.keys.stopped, name)) === 1
  }

  async stoppedExperiments(): Promise<string[]> {
    return (await this.redis.client.smembers(this.redis.keys.stopped)).sort()
  }

  dead(): Promise<DeadEntry[]> {
    return new DeadRuns(this.redis).list()
  }

  deadRun(runId: string): Promise<DeadRun> {
    return new DeadRuns(this.redis).show(runId)
  }

  retryDead(runId: string): Promise<{ runId: string; traceId: string }> {
    return new DeadRuns(this.redis).retry(runId, this)
  }

  dropDead(runId: string): Promise<boolean> {
    return new DeadRuns(this.redis).drop(runId)
  }

  nodes(): Promise<FleetNode[]> {
    return readNodes(this.redis)
  }

  load(): Promise<FleetLoad> {
    return readLoad(this.redis)
  }

  async ping(limitMs: number): Promise<number> {
    const began = performance.now()
    const answer = await Promise.race([
      this.redis.client.ping(),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), limitMs).unref()),
    ])
    if (answer === undefined) throw new CaesuraError('CAESURA_E_REDIS', `Redis does not answer within ${limitMs} ms`)
    return performance.now() - began
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#clock?.close()
    this.#delivered.close()
    clearInterval(this.#check)
    this.#inbox.close()
    // While Redis is away a queue does not close.
    await within(CLOSE_MS, () => this.#tickets.close())
    this.redis.close()
  }

  async *#follow(runId: string, seq: number, signal?: AbortSignal): AsyncGenerator<RunEvent, void, undefined> {
    const reader = new RunReader(this.redis, runId, seq)
    const readers = this.#readers.get(runId) ?? new Set()
    readers.add(reader)
    this.#readers.set(runId, readers)
    const stop = () => reader.stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      const [answer] = await this.redis.call('follow', runId, this.#inbox.id)
      if (answer === 'unknown') throw unknownRun(runId)
      reader.catchUp()
      yield* reader.events()
    } finally {
      signal?.removeEventListener('abort', stop)
      readers.delete(reader)
      if (readers.size === 0) {
        this.#readers.delete(runId)
        this.#delivered.forget(runId)
        void this.redis.client.srem(this.redis.keys.readers(runId), this.#inbox.id).catch(() => undefined)
      }
    }
  }

  /** One look a run, however many read it. */
  #catchUp(): void {
    for (const [runId, readers] of this.#readers) {
      void marksOf(this.redis, runId)
        .then((marks) => {
          for (const reader of readers) reader.review(marks)
        })
        .catch(() => undefined)
    }
  }
}

/** How long closing may take, ms. */
const CLOSE_MS = 1000

/** How often readers look whether they have missed something, ms. */
const CHECK_MS = 5000
