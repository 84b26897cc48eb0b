import type { CallEnd, CallRequest } from '../core/call.ts'
import type { Executor } from '../core/ports.ts'
import type { FleetClock } from './fleet-clock.ts'
import { lostNews, type NewsBatch } from './news.ts'
import type { NodeDirectory } from './node-directory.ts'
import type { FleetRedis } from './redis.ts'
import { RemoteCall } from './remote-call.ts'
import type { RunSession } from './run-session.ts'
import type { TicketQueues } from './ticket-queues.ts'

/** How long a call waits for a node that may take it before it fails with `CAESURA_E_NO_MODEL`, ms. */
const NODE_WAIT_MS = 30_000

/** After so long a ticket that nobody took up is added again, in case that it was lost, ms. */
const REISSUE_MS = 10_000

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
  readonly kept: ReadonlyMap<string, readonly NewsBatch[]>
  /** Reads a call's news from where they are kept. */
  readonly readNews: (callId: string) => Promise<readonly NewsBatch[]>
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
      else session.order(['cancel', callId, String((context.signal.reason as Error | undefined)?.message)])
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

  /** News of a call have come. */
  feed(callId: string, index: number, batch: NewsBatch): void {
    const call = this.#calls.get(callId)
    if (call !== undefined && !this.#feed(call, index, batch)) void this.#catchUp(call)
  }

  /** The worker that was offered the call can't take it. */
  declined(callId: string): void {
    const call = this.#calls.get(callId)
    if (call?.isOffered) this.#ticket(call)
  }

  /** News may have been missed: reads them all again. */
  catchUp(): void {
    for (const call of this.#calls.values()) void this.#catchUp(call)
  }

  /** The nodes have changed: a call that waits where nobody will take it moves, and one whose worker is gone ends. */
  review(): void {
    for (const call of this.#calls.values()) if (!call.settled) this.#review(call)
  }

  #review(call: RemoteCall): void {
    const { directory, tickets } = this.#parts
    if (call.placed) {
      if (call.worker !== undefined && directory.isGone(call.worker)) this.#endLost(call)
    } else if (call.queue === undefined) this.#place(call)
    else if (!tickets.isServed(call.queue, directory.nodes)) this.#move(call, call.queue).catch(() => undefined)
    else if (performance.now() - call.issuedAt > (call.isOffered ? OFFER_MS : REISSUE_MS)) {
      // It may have been taken up by a worker that has died before it said so. Adding it again does nothing where it still lies there.
      this.#endLost(call)
      this.#ticket(call)
    }
  }

  async #move(call: RemoteCall, from: string): Promise<void> {
    const { directory, tickets, session, priority } = this.#parts
    const queue = directory.queueFor(call.request)
    if (queue === undefined || queue === from) return this.#endLost(call)
    call.queue = queue
    if (!(await tickets.move(session.runId, call.request.callId, queue, priority))) this.#endLost(call)
  }

  /** Ends the call where the worker that has taken it up is gone. Redis itself looks whether that is so. */
  #endLost(call: RemoteCall): void {
    const { redis, session, directory } = this.#parts
    if (!directory.isSteady) return
    redis.call('endLost', session.runId, call.request.callId, lostNews).catch(() => undefined)
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
    session.order(['open', request.callId, JSON.stringify(request), queue, node ?? ''], {
      sent: () => {
        call.queued()
        if (node === undefined) this.#ticket(call)
      },
      written: (handedOver) => {
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
    if (call.queue !== undefined) void tickets.add(call.queue, session.runId, call.request.callId, priority)
  }

  #feed(call: RemoteCall, index: number, batch: NewsBatch): boolean {
    const last = batch.at(-1)
    if (index !== call.next || call.isStopped || last?.[0] !== 'end' || last[1].end !== 'cancelled')
      return call.feed(index, batch)
    // A cancel of the run went to the call's worker directly: the run hears of it before it hears what it has led to.
    call.isStopped = true
    void this.#parts.hearSignals().then(() => call.feed(index, batch))
    return true
  }

  async #catchUp(call: RemoteCall): Promise<void> {
    const { callId } = call.request
    if (this.#reading.has(callId)) return
    this.#reading.add(callId)
    try {
      const batches = await this.#parts.readNews(callId)
      for (const [index, batch] of batches.entries()) this.#feed(call, index, batch)
    } finally {
      this.#reading.delete(callId)
    }
  }
}
