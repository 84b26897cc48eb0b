import type { CallEnd, CallRequest } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Executor } from '../core/ports.ts'
import type { FleetClock } from './fleet-clock.ts'
import { lostNews, type NewsBatch } from './news.ts'
import type { NodeDirectory } from './node-directory.ts'
import type { FleetRedis } from './redis.ts'
import { RemoteCall } from './remote-call.ts'
import type { RunSession } from './run-session.ts'
import type { TicketQueues } from './ticket-queues.ts'
import { unreadable } from './wire.ts'

/** How long a call waits for a node that may take it before it fails with `CAESURA_E_NO_MODEL`, ms. */
const NODE_WAIT_MS = 30_000

/** After so long a ticket that nobody took up is added again, in case that it was lost, ms. */
const REISSUE_MS = 10_000

/** After so long a call that waits for one of several nodes that have its model may go to another that has a free slot, ms. */
const ELSEWHERE_MS = 1000

/** A call that was told to stop and has not ended after so long is ended without its worker, ms. */
const STOP_MS = 10_000

/** After so long a call that was offered to a worker, and that nobody took up, has a ticket, ms. */
const OFFER_MS = 300

/** What a run's executor works with. */
export interface QueueExecutorParts {
  readonly redis: FleetRedis
  readonly session: RunSession
  readonly clock: FleetClock
  readonly directory: NodeDirectory
  readonly tickets: TicketQueues
  readonly priority: number
  /** The news so far of calls that the owner before had started, by call. */
  readonly kept: ReadonlyMap<string, readonly (NewsBatch | undefined)[]>
  /** Reads a call's news from where they are kept. */
  readonly readNews: (callId: string) => Promise<readonly (NewsBatch | undefined)[]>
  /** Asks for the queue of a call; undefined while there is none. */
  readonly queueOf: (callId: string) => string | undefined
  /** Takes the run's signals that are kept and were not heard yet. */
  readonly hearSignals: () => Promise<void>
}

/** Has the calls of one run made by workers: a ticket in a queue, the request in Redis, the answer as news. */
export class QueueExecutor implements Executor {
  readonly #parts: QueueExecutorParts
  readonly #calls = new Map<string, RemoteCall>()
  readonly #reading = new Set<string>()

  constructor(parts: QueueExecutorParts) {
    this.#parts = parts
  }

  execute(request: CallRequest, context: Parameters<Executor['execute']>[1]): Promise<CallEnd> {
    const { session, clock } = this.#parts
    const { callId } = request
    const call = new RemoteCall(
      request,
      clock,
      context.observer,
      this.#parts.kept.has(callId) ? Number.NEGATIVE_INFINITY : clock.now(),
    )
    this.#calls.set(callId, call)
    const cancel = () => {
      call.isStopped = true
      // A call that was never opened is nowhere but here.
      if (call.queue === undefined) call.settle({ end: 'cancelled' })
      else {
        session.order(['cancel', callId, String((context.signal.reason as Error | undefined)?.message)])
        call.stoppedAt = performance.now()
      }
    }
    call.isStopped = context.signal.aborted
    const settled = call.end.finally(() => {
      this.#calls.delete(callId)
      context.signal.removeEventListener('abort', cancel)
    })
    for (const [index, batch] of (this.#parts.kept.get(callId) ?? []).entries()) this.#feed(call, index, batch)
    if (call.settled) return settled
    call.queue = this.#parts.queueOf(callId)
    if (call.queue === undefined) this.#place(call)
    else this.#issue(call, call.queue)
    if (context.signal.aborted) cancel()
    else context.signal.addEventListener('abort', cancel, { once: true })
    return settled
  }

  /** News of a call have come; undefined: something that is none. */
  feed(callId: string, index: number, batch: NewsBatch | undefined): void {
    const call = this.#calls.get(callId)
    if (call !== undefined && !this.#feed(call, index, batch)) this.#catchUp(call)
  }

  /** Looks whether Redis still has its calls. One that it has lost has failed: nothing more will come of it. */
  async look(): Promise<void> {
    const { redis, session } = this.#parts
    for (const call of this.#calls.values()) {
      if (call.settled || !call.isOpened) continue
      const key = redis.keys.call(session.runId, call.request.callId)
      const status = await redis.client.hget(key, 'status').catch((error: Error) => wrongType(error))
      if (status === null && !call.settled) this.#fail(call, 'CAESURA_E_WORKER_LOST', 'Redis has lost the call')
    }
  }

  /** The worker that was offered the call can't take it, or has taken its ticket and has not got its model. */
  declined(callId: string): void {
    const call = this.#calls.get(callId)
    if (call === undefined || call.settled) return
    if (call.isOffered) this.#ticket(call)
    else this.#placeAgain(call).catch(() => undefined)
  }

  /** The fleet is not as it was when the call was placed. */
  async #placeAgain(call: RemoteCall): Promise<void> {
    const { directory } = this.#parts
    await directory.refresh()
    if (call.queue === undefined || call.settled) return
    const queue = directory.queueFor(call.request)
    if (queue !== undefined && queue !== call.queue) await this.#moveTo(call, queue)
    else call.issuedAt = Number.NEGATIVE_INFINITY
  }

  /** News may have been missed: reads them all again. */
  catchUp(): void {
    for (const call of this.#calls.values()) this.#catchUp(call)
  }

  /** The nodes have changed: a call that waits where nobody will take it moves, and one whose worker is gone ends. */
  review(): void {
    for (const call of this.#calls.values()) if (!call.settled) this.#review(call)
  }

  #review(call: RemoteCall): void {
    const { directory, tickets } = this.#parts
    if (call.stoppedAt !== undefined && directory.isSteady && performance.now() - call.stoppedAt > STOP_MS) {
      // Who has it does not answer, or does not know it. What it still tells is refused.
      call.stoppedAt = performance.now()
      this.#end(call, 'anyway')
      return
    }
    if (call.placed) {
      if (call.worker !== undefined && directory.isGone(call.worker)) this.#endLost(call)
    } else if (call.queue === undefined) this.#place(call)
    else if (!tickets.isServed(call.queue, directory.nodes)) this.#move(call, call.queue).catch(() => undefined)
    else if (performance.now() - call.issuedAt > (call.isOffered ? OFFER_MS : REISSUE_MS)) {
      // It may have been taken up by a worker that has died before it said so. Adding it again does nothing where it still lies there.
      this.#endLost(call)
      this.#ticket(call)
    } else if (performance.now() - call.issuedAt > ELSEWHERE_MS) {
      const freer = directory.freerThan(call.queue, call.request)
      if (freer !== undefined) this.#moveTo(call, freer).catch(() => undefined)
    }
  }

  async #move(call: RemoteCall, from: string): Promise<void> {
    const { directory } = this.#parts
    const queue = directory.queueFor(call.request)
    if (queue === undefined || queue === from) return this.#endLost(call)
    await this.#moveTo(call, queue)
  }

  async #moveTo(call: RemoteCall, queue: string): Promise<void> {
    const { tickets, session, priority } = this.#parts
    call.queue = queue
    call.issuedAt = performance.now()
    if (!(await tickets.move(session.runId, call.request.callId, queue, priority))) this.#endLost(call)
  }

  /** Ends the call where the worker that has taken it up is gone. Redis itself looks whether that is so. */
  #endLost(call: RemoteCall): void {
    if (this.#parts.directory.isSteady) this.#end(call, 'lost')
  }

  #end(call: RemoteCall, why: 'lost' | 'anyway'): void {
    const { redis, session } = this.#parts
    redis.call('endCall', session.runId, call.request.callId, lostNews, why).catch(() => undefined)
  }

  /** What Redis holds of the call can't be used: it has failed, and its worker is told to stop. One that is lost is made again. */
  #fail(call: RemoteCall, code: 'CAESURA_E_STATE' | 'CAESURA_E_WORKER_LOST', message: string): void {
    const { callId } = call.request
    call.settle({ end: 'failed', retryable: code === 'CAESURA_E_WORKER_LOST', error: { code, message } })
    this.#parts.session.order(['cancel', callId, message])
  }

  async load(): Promise<{ outcome: 'skipped'; reason: string }> {
    return { outcome: 'skipped', reason: 'the nodes of a fleet load nothing ahead' }
  }

  async prefill(): Promise<{ outcome: 'skipped'; reason: string }> {
    return { outcome: 'skipped', reason: 'the nodes of a fleet read no prompt ahead' }
  }

  async close(): Promise<void> {}

  #place(call: RemoteCall): void {
    const { directory, clock } = this.#parts
    const queue = directory.queueFor(call.request)
    if (queue !== undefined) {
      call.queue = queue
      this.#issue(call, queue)
      return
    }
    const names = directory.nodes.map(({ name }) => name).join(', ') || 'none'
    const { model, placement, previousNode } = call.request
    const wished = previousNode === undefined ? '' : ` with placement ${placement} (before: ${previousNode})`
    const message = `no node of the fleet takes calls for the model ${model}${wished}; nodes: ${names}`
    if (call.isHomeless) return
    call.isHomeless = true
    const withdraw = clock.schedule(clock.now() + NODE_WAIT_MS * 1e6, () => {
      if (call.queue === undefined)
        call.settle({ end: 'failed', retryable: false, error: { code: 'CAESURA_E_NO_MODEL', message } })
    })
    void call.end.then(withdraw)
  }

  #issue(call: RemoteCall, queue: string): void {
    const { request } = call
    const { session } = this.#parts
    const node = this.#handOverTo(call, queue)
    session.order(['open', request.callId, JSON.stringify(request), queue, node ?? '', request.model], {
      sent: () => {
        call.queued()
        if (node === undefined) this.#ticket(call)
      },
      written: (handedOver) => {
        call.isOpened = true
        if (node === undefined) return
        call.isOffered = handedOver.includes(request.callId)
        if (!call.isOffered) this.#ticket(call)
      },
    })
  }

  /** The node that is asked to take the call at once: its slot has just become free. */
  #handOverTo(call: RemoteCall, queue: string): string | undefined {
    const node = this.#parts.directory.handOverTo(queue, call.request)
    for (const other of this.#calls.values()) if (other.node === node && !other.settled) return undefined
    return node
  }

  #ticket(call: RemoteCall): void {
    const { session, tickets, priority } = this.#parts
    call.isOffered = false
    call.issuedAt = performance.now()
    if (call.queue === undefined) return
    // A ticket that could not be added is added again by `review`.
    tickets.add(call.queue, session.runId, call.request.callId, priority).catch(() => undefined)
  }

  #feed(call: RemoteCall, index: number, batch: NewsBatch | undefined): boolean {
    if (batch === undefined) {
      const what = `the news of the call ${call.request.callId}`
      if (index >= call.next && !call.settled) this.#fail(call, 'CAESURA_E_STATE', unreadable(what).message)
      return true
    }
    const last = batch.at(-1)
    if (index === call.next && last?.[0] === 'end' && last[1].error?.code === 'CAESURA_E_NO_MODEL') {
      // The worker has said which models it has: who makes the call again is chosen by that.
      this.#parts.directory
        .refresh()
        .catch(() => undefined)
        .finally(() => call.feed(index, batch))
      return true
    }
    if (index !== call.next || call.isStopped || last?.[0] !== 'end' || last[1].end !== 'cancelled')
      return call.feed(index, batch)
    // A cancel of the run went to the call's worker directly: the run hears of it before it hears what it has led to.
    call.isStopped = true
    this.#parts
      .hearSignals()
      .then(() => call.feed(index, batch))
      .catch(() => undefined)
    return true
  }

  #catchUp(call: RemoteCall): void {
    const { callId } = call.request
    if (this.#reading.has(callId)) return
    this.#reading.add(callId)
    this.#parts
      .readNews(callId)
      .then(
        (batches) => {
          for (const [index, batch] of batches.entries()) this.#feed(call, index, batch)
        },
        (error: unknown) => {
          // A connection that was closed ends more than this.
          if (error instanceof CaesuraError && !call.settled) this.#fail(call, 'CAESURA_E_STATE', error.message)
        },
      )
      .finally(() => this.#reading.delete(callId))
  }
}

/** A key of another type is no call. */
function wrongType(error: Error): null {
  if (/WRONGTYPE/.test(error.message)) return null
  throw error
}
