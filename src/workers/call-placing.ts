import { randomUUID } from 'node:crypto'
import { nobodyTakes } from '../core/placement.ts'
import type { FleetClock } from './fleet-clock.ts'
import { lostNews } from './news.ts'
import type { NodeDirectory } from './node-directory.ts'
import type { FleetRedis } from './redis.ts'
import type { RemoteCall } from './remote-call.ts'
import type { RunSession } from './run-session.ts'
import type { TicketQueues } from './ticket-queues.ts'

/** How long a call waits for a node that may take it before it fails with `CAESURA_E_NO_MODEL`, ms. */
const NODE_WAIT_MS = 30_000

/** After so long a ticket that nobody took up is added again, in case that it was lost, ms. */
const REISSUE_MS = 10_000

/** After so long a call that waits for one of several nodes that have its model may go to another that has a free slot, ms. */
const ELSEWHERE_MS = 1000

/** A call that was told to stop and has not ended after so long is ended without its worker, ms. */
const STOP_MS = 10_000

/** After so long a call that may be in the hands of a worker which has told nothing of it is asked after, ms. */
const OFFER_MS = 300

/** What the calls of a run are placed with. */
export interface PlacingParts {
  readonly redis: FleetRedis
  readonly session: RunSession
  readonly clock: FleetClock
  readonly directory: NodeDirectory
  readonly tickets: TicketQueues
  readonly priority: number
}

/** Finds somebody for each call of a run: a queue whose nodes may take it, another one when they are gone, and its end where its worker died. */
export class CallPlacing {
  readonly #parts: PlacingParts
  readonly #calls: () => Iterable<RemoteCall>

  /** `calls`: those of the run that have not settled. */
  constructor(parts: PlacingParts, calls: () => Iterable<RemoteCall>) {
    this.#parts = parts
    this.#calls = calls
  }

  /** Looks for nodes that may take the call; where there is none it waits for a while. */
  place(call: RemoteCall): void {
    const { directory, clock } = this.#parts
    const queue = directory.queueFor(call.request)
    if (queue !== undefined) {
      call.queue = queue
      this.issue(call, queue)
      return
    }
    const names = directory.nodes.map(({ name }) => name)
    const message = nobodyTakes(call.request, names, ' of the fleet')
    if (call.isHomeless) return
    call.isHomeless = true
    const withdraw = clock.schedule(clock.now() + NODE_WAIT_MS * 1e6, () => {
      if (call.queue === undefined)
        call.settle({ end: 'failed', retryable: false, error: { code: 'CAESURA_E_NO_MODEL', message } })
    })
    void call.end.then(withdraw)
  }

  /** Hands the call over to those who serve a queue. */
  issue(call: RemoteCall, queue: string): void {
    const { request } = call
    const { session } = this.#parts
    const node = this.#handOverTo(call, queue)
    // Never the same number twice: by it a worker knows which offer is meant.
    const offer = node === undefined ? '' : `${randomUUID()} ${node}`
    session.order(['open', request.callId, JSON.stringify(request), queue, offer, request.model], {
      sent: () => {
        call.queued()
        if (node === undefined) this.ticket(call)
      },
      written: (handedOver) => {
        call.isOpened = true
        if (node === undefined) return
        call.isOffered = handedOver === undefined || handedOver.includes(request.callId)
        if (!call.isOffered) this.ticket(call)
      },
    })
  }

  /** Has a call that the owner before had opened made, if it is not yet: it may have been given to a worker that never heard of it. */
  takeUp(call: RemoteCall, queue: string): void {
    const { request } = call
    this.#parts.session.order(['open', request.callId, JSON.stringify(request), queue, '', request.model], {
      sent: () => {
        call.queued()
        this.ticket(call)
        call.isOffered = true
      },
      written: () => {
        call.isOpened = true
      },
    })
  }

  /** The node that is asked to take the call at once: its slot has just become free. */
  #handOverTo(call: RemoteCall, queue: string): string | undefined {
    const node = this.#parts.directory.handOverTo(queue, call.request)
    for (const other of this.#calls()) if (other.node === node && !other.settled) return undefined
    return node
  }

  /** Lets anybody who serves its queue take the call. */
  ticket(call: RemoteCall): void {
    const { session, tickets, priority } = this.#parts
    call.isOffered = false
    call.issuedAt = performance.now()
    if (call.queue === undefined) return
    // A ticket that could not be added is added again by `review`.
    tickets.add(call.queue, session.runId, call.request.callId, priority).catch(() => undefined)
  }

  /** The fleet is not as it was when the call was placed. */
  async placeAgain(call: RemoteCall): Promise<void> {
    const { directory } = this.#parts
    await directory.refresh()
    if (call.queue === undefined || call.settled) return
    const queue = directory.queueFor(call.request)
    if (queue !== undefined && queue !== call.queue) await this.#moveTo(call, queue)
    else call.issuedAt = Number.NEGATIVE_INFINITY
  }

  /** The nodes have changed, or time has passed. */
  review(call: RemoteCall): void {
    const { directory, tickets } = this.#parts
    if (call.stoppedAt !== undefined && directory.isSteady && performance.now() - call.stoppedAt > STOP_MS) {
      // Who has it does not answer, or does not know it. What it still tells is refused.
      call.stoppedAt = performance.now()
      this.#end(call, 'anyway')
      return
    }
    if (call.placed) {
      if (call.worker !== undefined && directory.isGone(call.worker)) this.#endLost(call)
    } else if (call.queue === undefined) this.place(call)
    else if (!tickets.isServed(call.queue, directory.nodes)) this.#move(call, call.queue).catch(() => undefined)
    else if (performance.now() - call.issuedAt > (call.isOffered ? OFFER_MS : REISSUE_MS)) {
      // It may have been taken up by a worker that has died before it said so.
      this.#endLost(call)
      if (call.isOffered) this.#askAfter(call).catch(() => undefined)
      else this.#issueAgain(call)
    } else if (performance.now() - call.issuedAt > ELSEWHERE_MS) {
      const freer = directory.freerThan(call.queue, call.request)
      if (freer !== undefined) this.#moveTo(call, freer).catch(() => undefined)
    }
  }

  /** Adding a ticket again does nothing where it still lies there. */
  #issueAgain(call: RemoteCall): void {
    this.ticket(call)
    // A worker to which it was given may never have heard of it.
    this.#parts.redis.call('checkCall', this.#parts.session.runId, call.request.callId).catch(() => undefined)
  }

  /** A worker to which the call was given, and which does not know of it, gives it back. */
  async #askAfter(call: RemoteCall): Promise<void> {
    call.issuedAt = performance.now()
    const { redis, session } = this.#parts
    const [answer] = await redis.call('checkCall', session.runId, call.request.callId)
    if (answer === 'waits' && call.isOffered && !call.settled) this.ticket(call)
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
}
