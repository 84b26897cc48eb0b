import { randomUUID } from 'node:crypto'
import { assign } from '../core/assignment.ts'
import type { PlannedSignal, SignalAnswer } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import type { RunEvent } from '../core/event.ts'
import {
  type DeadEntry,
  type Fleet,
  type FleetAddress,
  type FleetLimits,
  type FleetLoad,
  type FleetNode,
  type FleetRun,
  type FleetRunLine,
  type RunFilter,
  type SubmitOptions,
  unknownRun,
} from '../core/fleet.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { newTraceId } from '../core/trace.ts'
import { Admission } from './admission.ts'
import { endedAnswer } from './commands.ts'
import { DeadRuns } from './dead-runs.ts'
import { type FleetClock, fleetClock } from './fleet-clock.ts'
import { readLoad } from './fleet-load.ts'
import { Inbox } from './inbox.ts'
import { readNodes } from './node-directory.ts'
import { type FleetRedis, openFleetRedis } from './redis.ts'
import { inSpec, listRuns, lookAt, readRecord, UNREADABLE } from './run-list.ts'
import { marksOf, RunReader, told } from './run-reader.ts'
import { FLEET_VERSION, type RunSpec } from './run-spec.ts'
import { TicketQueues } from './ticket-queues.ts'
import { asEvent, type SignalPayload, unreadable } from './wire.ts'
import { within } from './within.ts'

/** Runs outlive the process that submitted them: only their ids matter. */
const runIdPattern = /^[A-Za-z0-9_-]{1,100}$/

/** Submits runs to a fleet, reads them, interrupts and cancels them, from any process. */
export class FleetClient implements Fleet {
  readonly redis: FleetRedis
  #clock: FleetClock | undefined
  #isClosed = false
  readonly #inbox: Inbox
  readonly #tickets: TicketQueues
  readonly #admission: Admission
  readonly #readers = new Map<string, Set<RunReader>>()
  readonly #answers = new Map<string, (answer: SignalAnswer) => void>()
  /** The inboxes of the owners of the runs that are read here, as their last events named them. */
  readonly #owners = new Map<string, string>()
  readonly #check: NodeJS.Timeout
  #delivered: Record<string, number> = {}
  #timer: NodeJS.Timeout | undefined

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
    this.#admission = new Admission(redis, limits)
    this.#inbox = new Inbox(redis)
    this.#tickets = new TicketQueues(redis)
    this.#inbox.on('events', (runId, events, owner) => {
      if (!this.#readers.has(runId as string)) return
      if (typeof owner === 'string') this.#owners.set(runId as string, owner)
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

  async submit(asked: Pipeline, options: SubmitOptions): Promise<{ runId: string; traceId: string; isNew: boolean }> {
    const { runId = randomUUID(), tenant = '', priority = 0, models = {}, input, vars = {}, signals = [] } = options
    if (!runIdPattern.test(runId)) {
      throw new CaesuraError('CAESURA_E_USAGE', 'a run id of a fleet is 1 to 100 letters, digits, - or _', {
        received: runId,
      })
    }
    const isStopped = asked.experiment !== undefined && (await this.#isStopped(asked.experiment.name))
    const { pipeline, experiment } = assign(asked, { ...options, runId, isStopped })
    const { trace = { traceId: newTraceId() }, fingerprint, submittedBy } = options
    const spec: RunSpec = {
      version: FLEET_VERSION,
      pipeline,
      input,
      vars,
      models,
      signals: signals.map((signal): PlannedSignal => ({ ...signal })),
      trace,
      ...(experiment !== undefined && { experiment }),
      ...(fingerprint !== undefined && { fingerprint }),
      ...(submittedBy !== undefined && { submittedBy }),
      tenant,
      priority,
    }
    const isNew = await this.#admission.during(() => this.#submit(runId, spec))
    return { runId, traceId: isNew ? trace.traceId : await this.#traceIdOf(runId), isNew }
  }

  /** False where the run was there. Throws `CAESURA_E_FLEET_FULL`. */
  async #submit(runId: string, spec: RunSpec): Promise<boolean> {
    const { tenant, priority, pipeline, submittedBy = '' } = spec
    const text = JSON.stringify(spec)
    const { mostWaiting } = this.#admission
    try {
      await this.#admission.checkMemory(text.length)
    } catch (error) {
      // Who asks again for a run that is there is answered as before.
      if ((await this.redis.client.exists(this.redis.keys.run(runId))) === 0) throw error
    }
    const run = [runId, text, Date.now(), tenant] as const
    const [answer, count] = await this.redis.call('submit', ...run, pipeline.name, submittedBy, mostWaiting)
    if (answer === 'full') throw this.#admission.tooMany(count)
    // The more a tenant has running, the later its next run comes; without a tenant runs are served in their order.
    const place = tenant === '' ? priority : priority + Number(count ?? 0)
    // Whoever submitted it before may have died before it had a ticket.
    if (answer === 'ok' || (await this.#isWaiting(runId))) await this.#tickets.addRun(runId, place)
    return answer === 'ok'
  }

  async read(runId: string): Promise<FleetRun> {
    const line = await this.look(runId)
    if (line.status !== 'ended') return line
    const record = readRecord(await this.redis.client.hget(this.redis.keys.run(runId), 'record'))
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
      this.#noteDelivered(runId, event.seq)
      yield event
    }
  }

  /** Resolves when the run has ended. Throws as `events` does. */
  async ended(runId: string): Promise<void> {
    const { seq, status } = await this.read(runId)
    if (status === 'ended') return
    for await (const event of this.#follow(runId, seq)) if (event.type === 'run-end') return
  }

  async interrupt(runId: string, { input }: { input?: string } = {}): Promise<SignalAnswer> {
    const id = randomUUID()
    const answered = new Promise<SignalAnswer>((resolve) => this.#answers.set(id, resolve))
    const sentAt = this.#clock?.wall()
    const asked = { ...(input !== undefined && { input }), ...(sentAt !== undefined && { sentAt }) }
    const payload: SignalPayload = ['interrupt', asked, { inbox: this.#inbox.id, id }]
    const [answer] = await this.redis.call('signal', runId, JSON.stringify(payload), id, '')
    if (answer === 'ok') return answered
    this.#answers.delete(id)
    if (answer === 'unknown') throw unknownRun(runId)
    if (answer === 'broken') throw unreadable(`the signals of the run ${runId}`)
    return endedAnswer
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
    clearTimeout(this.#timer)
    clearInterval(this.#check)
    this.#inbox.close()
    // While Redis is away a queue does not close.
    await within(CLOSE_MS, () => this.#tickets.close())
    this.redis.close()
  }

  /** Asked at each run of a pipeline with an experiment, so that a stop counts at once everywhere. */
  async #isStopped(experiment: string): Promise<boolean> {
    return (await this.redis.client.sismember(this.redis.keys.stopped, experiment)) === 1
  }

  /** Of a run that was there before. */
  async #traceIdOf(runId: string): Promise<string> {
    const spec = await this.redis.client.hget(this.redis.keys.run(runId), 'spec')
    return inSpec(spec, ({ trace }) => trace.traceId)
  }

  async #isWaiting(runId: string): Promise<boolean> {
    const { client, keys } = this.redis
    const [status, epoch] = await client.hmget(keys.run(runId), 'status', 'epoch')
    return status === 'live' && epoch === '0'
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
        this.#owners.delete(runId)
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

  /** Tells the owners what their readers were handed: what `carry: delivered` goes by. Not for each event. */
  #noteDelivered(runId: string, seq: number): void {
    this.#delivered[runId] = seq
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const delivered = this.#delivered
      this.#delivered = {}
      void this.#tellDelivered(delivered).catch(() => undefined)
    }, DELIVERED_MS)
  }

  async #tellDelivered(delivered: Record<string, number>): Promise<void> {
    const { client, keys } = this.redis
    const unknown = Object.keys(delivered).filter((run) => !this.#owners.has(run))
    const found = await client.pipeline(unknown.map((run) => ['hget', keys.run(run), 'owner'])).exec()
    const looked = new Map(unknown.map((run, index) => [run, found?.[index]?.[1]]))
    const byOwner = new Map<string, Record<string, number>>()
    for (const [run, seq] of Object.entries(delivered)) {
      const owner = this.#owners.get(run) ?? looked.get(run)
      if (typeof owner !== 'string') continue
      const entry = byOwner.get(owner) ?? {}
      entry[run] = seq
      byOwner.set(owner, entry)
    }
    for (const [owner, seqs] of byOwner) {
      await client.xadd(
        keys.inbox(owner),
        'NOMKSTREAM',
        'MAXLEN',
        '~',
        '50000',
        '*',
        'd',
        JSON.stringify(['delivered', seqs]),
      )
    }
  }
}

/** How long closing may take, ms. */
const CLOSE_MS = 1000

/** How often readers look whether they have missed something, ms. */
const CHECK_MS = 5000

/** How long the news that events were delivered wait for others, ms. */
const DELIVERED_MS = 20
