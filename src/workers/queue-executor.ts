import type { CallEnd, CallRequest } from '../core/call.ts'
import type { Executor } from '../core/ports.ts'
import type { FleetClock } from './fleet-clock.ts'
import type { NewsBatch } from './news.ts'
import type { NodeDirectory } from './node-directory.ts'
import { RemoteCall } from './remote-call.ts'
import type { RunSession } from './run-session.ts'
import type { TicketQueues } from './ticket-queues.ts'

/** How long a call waits for a node that may take it before it fails with `CAESURA_E_NO_MODEL`, ms. */
const NODE_WAIT_MS = 30_000

/** After so long a ticket that nobody took up is added again, in case that it was lost, ms. */
const REISSUE_MS = 10_000

/** What a run's executor works with. */
export interface QueueExecutorParts {
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
    const cancel = () =>
      session.order(['cancel', callId, String((context.signal.reason as Error | undefined)?.message)])
    const settled = call.end.finally(() => {
      this.#calls.delete(callId)
      context.signal.removeEventListener('abort', cancel)
    })
    for (const [index, batch] of (this.#parts.kept.get(callId) ?? []).entries()) call.feed(index, batch)
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
    if (call !== undefined && !call.feed(index, batch)) void this.#catchUp(call)
  }

  /** News may have been missed: reads them all again. */
  catchUp(): void {
    for (const call of this.#calls.values()) void this.#catchUp(call)
  }

  /** The nodes have changed: a call that waits where nobody will take it moves. */
  review(): void {
    const { directory, tickets, session } = this.#parts
    for (const call of this.#calls.values()) {
      if (call.placed || call.settled) continue
      if (call.queue === undefined) this.#place(call)
      else if (!tickets.isServed(call.queue, directory.nodes)) {
        const queue = directory.queueFor(call.request)
        if (queue === undefined || queue === call.queue) continue
        call.queue = queue
        void tickets.move(session.runId, call.request.callId, queue, this.#parts.priority)
      } else if (performance.now() - call.issuedAt > REISSUE_MS) {
        // Adding it again does nothing where it still lies there.
        call.issuedAt = performance.now()
        void tickets.add(call.queue, session.runId, call.request.callId, this.#parts.priority)
      }
    }
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
    const withdraw = clock.schedule(clock.now() + NODE_WAIT_MS * 1e6, () => {
      if (call.queue === undefined)
        call.settle({ end: 'failed', retryable: false, error: { code: 'CAESURA_E_NO_MODEL', message } })
    })
    void call.end.then(withdraw)
  }

  #issue(call: RemoteCall, queue: string): void {
    const { request } = call
    const { session, tickets, priority } = this.#parts
    session.order(['open', request.callId, JSON.stringify(request), queue], () => {
      call.queued()
      void tickets.add(queue, session.runId, request.callId, priority)
    })
  }

  async #catchUp(call: RemoteCall): Promise<void> {
    const { callId } = call.request
    if (this.#reading.has(callId)) return
    this.#reading.add(callId)
    try {
      const batches = await this.#parts.readNews(callId)
      for (const [index, batch] of batches.entries()) call.feed(index, batch)
    } finally {
      this.#reading.delete(callId)
    }
  }
}
