import type { CallEnd, CallRequest } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Executor } from '../core/ports.ts'
import { CallPlacing, type PlacingParts } from './call-placing.ts'
import type { NewsBatch } from './news.ts'
import { RemoteCall } from './remote-call.ts'
import { unreadable } from './wire.ts'

/** What a run's executor works with. */
export interface QueueExecutorParts extends PlacingParts {
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
  readonly #placing: CallPlacing

  constructor(parts: QueueExecutorParts) {
    this.#parts = parts
    this.#placing = new CallPlacing(parts, () => this.#calls.values())
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
    if (call.queue === undefined) this.#placing.place(call)
    else this.#placing.takeUp(call, call.queue)
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
    if (call.isOffered) this.#placing.ticket(call)
    else this.#placing.placeAgain(call).catch(() => undefined)
  }

  /** News may have been missed: reads them all again. */
  catchUp(): void {
    for (const call of this.#calls.values()) this.#catchUp(call)
  }

  /** The nodes have changed: a call that waits where nobody will take it moves, and one whose worker is gone ends. */
  review(): void {
    for (const call of this.#calls.values()) if (!call.settled) this.#placing.review(call)
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
