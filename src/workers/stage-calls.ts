import { generateOn } from '../core/backend-call.ts'
import type { CallEnd, CallRequest } from '../core/call.ts'
import { CallCancelled, summarize } from '../core/errors.ts'
import { correlation, type Log } from '../core/log.ts'
import { hasModel, namesOfModel } from '../core/placement.ts'
import type { Node } from '../core/ports.ts'
import type { ProcessRecord } from '../core/record.ts'
import { callPart } from '../core/trace.ts'
import type { AnswerOf } from './commands.ts'
import type { FleetClock } from './fleet-clock.ts'
import { GroupWriter } from './group-writer.ts'
import { lostNews } from './news.ts'
import { NewsWriter } from './news-writer.ts'
import type { FleetRedis } from './redis.ts'
import type { CallTicket } from './ticket-queues.ts'
import { parseJson, readCallRequest } from './wire.ts'

/** What became of a ticket. */
export type TicketOutcome = 'done' | Exclude<AnswerOf<'claimCall'>[0], 'ok'>

interface LiveCall {
  readonly controller: AbortController
  /** When something came from its server, ms. */
  newsAt: number
}

/** The calls in flight of one stage worker. */
export class StageCalls {
  readonly #redis: FleetRedis
  readonly #clock: FleetClock
  readonly #node: Node
  readonly #worker: string
  readonly #models: () => readonly string[] | undefined
  readonly #lostModel: () => Promise<void>
  readonly #process: () => ProcessRecord
  readonly #ended: (end: CallEnd, request: string) => void
  readonly #live = new Map<string, LiveCall>()
  readonly #group: GroupWriter
  #claims = 0
  /** When something came for any call, ms. */
  #newsAt = 0

  constructor(parts: {
    readonly redis: FleetRedis
    readonly clock: FleetClock
    readonly node: Node
    readonly worker: string
    /** The models that the node takes calls for; undefined: any. */
    readonly models: () => readonly string[] | undefined
    /** The node's server has not got a model that it listed: tells the fleet which it has. Never rejects. */
    readonly lostModel: () => Promise<void>
    /** This process, as records name it. */
    readonly process: () => ProcessRecord
    /** Hears how each call ended, and what was asked, as JSON. */
    readonly ended: (end: CallEnd, request: string) => void
  }) {
    this.#redis = parts.redis
    this.#clock = parts.clock
    this.#node = parts.node
    this.#worker = parts.worker
    this.#models = parts.models
    this.#lostModel = parts.lostModel
    this.#process = parts.process
    this.#ended = parts.ended
    this.#group = new GroupWriter(parts.redis, 'tellAll')
  }

  get count(): number {
    return this.#live.size
  }

  /** Makes the call that the ticket stands for, where it still is to be made. `lost`: aborted when the job's lock is lost. */
  async run(ticket: CallTicket, queue: string, claimant: string, lost?: AbortSignal): Promise<TicketOutcome> {
    const { runId, callId } = ticket
    // Never the same one twice: a Redis that has come back with less than it had counts a job's attempts again.
    const claim = `${claimant} ${this.#claims++}`
    const { name } = this.#node
    const [answer, request = ''] = await this.#redis.call(
      'claimCall',
      runId,
      callId,
      claim,
      queue,
      name,
      lostNews,
      this.#worker,
      namesOf(this.#models()),
    )
    if (answer !== 'ok') return answer
    await this.#make(ticket, claim, request, lost)
    return 'done'
  }

  /** Makes a call that was given to this worker under this claim, at once. False where its node has not got the model. */
  async runGiven(ticket: CallTicket, claim: string, request: string): Promise<boolean> {
    const { model } = Object(parseJson(request)) as { model?: unknown }
    if (typeof model === 'string' && !hasModel(this.#models(), model)) return false
    await this.#make(ticket, claim, request)
    return true
  }

  async #make(ticket: CallTicket, claim: string, request: string, lost?: AbortSignal): Promise<void> {
    const { runId, callId } = ticket
    const controller = new AbortController()
    const key = `${runId} ${callId}`
    const live: LiveCall = { controller, newsAt: performance.now() }
    this.#live.set(key, live)
    const lose = () => controller.abort(new WorkerLeaves('the lock of its job is lost'))
    lost?.addEventListener('abort', lose, { once: true })
    const writer = new NewsWriter(this.#group, ticket, claim, (fault) =>
      fault === 'refused'
        ? lose()
        : controller.abort(new WorkerLeaves('Redis has taken none of its news for too long')),
    )
    const end = await this.#generate(callId, request, live, writer)
    if (this.#live.get(key) === live) this.#live.delete(key)
    lost?.removeEventListener('abort', lose)
    this.#ended(end, request)
    if (end.error?.code === 'CAESURA_E_NO_MODEL') await this.#lostModel()
    writer.tell(['end', this.#endOf(end, controller.signal)])
    await writer.written()
  }

  /** A run does not want this call any more. */
  cancel(runId: string, callId: string, reason: string): void {
    this.#live.get(`${runId} ${callId}`)?.controller.abort(new CallCancelled(reason))
  }

  /** Messages may have been missed: looks which calls are to stop. */
  async recheck(): Promise<void> {
    const { client, keys } = this.#redis
    for (const key of this.#live.keys()) {
      const [runId = '', callId = ''] = key.split(' ')
      const reason = await client.hget(keys.call(runId, callId), 'cancel')
      if (reason !== null) this.cancel(runId, callId, reason)
    }
  }

  /** Names the calls that have had nothing from the server for so long while others had; '' where there is none. */
  stuck(afterMs: number): string {
    const now = performance.now()
    if (now - this.#newsAt >= afterMs) return ''
    const stuck = [...this.#live].filter(([, { newsAt }]) => now - newsAt >= afterMs)
    return stuck
      .map(([key, { newsAt }]) => `call ${key} has had nothing for ${Math.round((now - newsAt) / 1000)} s`)
      .join('; ')
  }

  /** Ends every call as failed, so that its run may have it made elsewhere. */
  stop(): void {
    for (const { controller } of this.#live.values()) controller.abort(new WorkerLeaves('the worker is being stopped'))
  }

  /** A call whose model was removed here may be made elsewhere. */
  #endOf(end: CallEnd, signal: AbortSignal): CallEnd {
    if (end.end === 'cancelled') return cancelledEnd(signal)
    return end.error?.code === 'CAESURA_E_NO_MODEL' ? { ...end, elsewhere: true } : end
  }

  #note(live: LiveCall): void {
    this.#newsAt = live.newsAt = performance.now()
  }

  async #generate(callId: string, request: string, live: LiveCall, writer: NewsWriter): Promise<CallEnd> {
    const { name, backend } = this.#node
    const clock = this.#clock
    const at = (ns?: number) => clock.toFleet(ns ?? clock.now())
    try {
      writer.tell(['mark', 'slot-acquired', at()])
      const { address } = backend
      const process = this.#process()
      const place = { name, backend: backend.kind, ...(address !== undefined && { address }), process }
      writer.tell(['placed', place, this.#worker])
      return await generateOn(backend, readCallRequest(callId, request), {
        clock,
        signal: live.controller.signal,
        mark: (mark, ns) => {
          this.#note(live)
          writer.tell(['mark', mark, at(ns)])
        },
        token: (text, ns) => {
          this.#note(live)
          writer.tell(['token', at(ns), text])
        },
        thinking: (text, ns) => {
          this.#note(live)
          writer.tell(['thinking', at(ns), text])
        },
        toolCall: (call, ns) => {
          this.#note(live)
          writer.tell(['tool-call', at(ns), call])
        },
        late: (ns) => writer.tell(['late', ns]),
      })
    } catch (error) {
      return { end: 'failed', error: summarize(error) }
    } finally {
      writer.tell(['mark', 'slot-released', at()])
    }
  }
}

/** All names by which the node's models may be asked for, each between two line breaks; '' for any. */
const namesOf = (models: readonly string[] | undefined): string =>
  models === undefined ? '' : `\n${models.flatMap(namesOfModel).join('\n')}\n`

/** The run still wants the call: it is for the worker that it ends. */
class WorkerLeaves extends CallCancelled {}

const cancelledEnd = ({ reason }: AbortSignal): CallEnd =>
  reason instanceof WorkerLeaves
    ? { end: 'failed', retryable: true, error: { code: 'CAESURA_E_WORKER_LOST', message: reason.message } }
    : { end: 'cancelled' }

/** Says how a call ended: at `info` where it failed, with its code. What the server said of it may quote the prompt. */
export function tellCall(log: Log, node: string, { end, error }: CallEnd, request: string): void {
  const level = end === 'failed' ? 'info' : 'debug'
  if (!log.has(level)) return
  const asked = parseJson(request) as Partial<CallRequest> | null | undefined
  const { runId = '', callId = '', stage, model, attempt, trace } = asked ?? {}
  const code = error?.code
  log[level](
    `node ${node}: call ${callId} of run ${runId} ${end}${code === undefined ? '' : ` (${code})`}`,
    {
      ...correlation(runId, trace?.traceparent?.split('-')[1], callPart(callId)),
      ...{ call: callId, stage, attempt, model, end, code },
    },
    { error: error?.message },
  )
}
