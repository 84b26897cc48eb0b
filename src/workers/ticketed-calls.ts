import type { Figures } from '../core/figures.ts'
import type { Log } from '../core/log.ts'
import type { Node } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { nodeQueue, poolQueue } from './keys.ts'
import type { NodeState } from './node-state.ts'
import type { FleetRedis } from './redis.ts'
import type { Slots } from './slots.ts'
import type { StageCalls } from './stage-calls.ts'
import type { TakenTicket } from './taken-ticket.ts'
import { type CallTicket, readCallTicket } from './ticket-queues.ts'
import { TicketWorker } from './ticket-worker.ts'

/** A call whose worker died is taken from it after 1.5 to 2.5 s. */
const LOCK_MS = 1500
const STALLED_MS = 500

/** What the calls of tickets are made with. */
export interface TicketedParts {
  readonly redis: FleetRedis
  readonly node: Node
  readonly worker: string
  readonly state: NodeState
  readonly slots: Slots
  readonly calls: StageCalls
  /** Tickets of the pool, or of this node, that may begin in a time, over all workers; absent: no limit. */
  readonly rate?: { readonly calls: number; readonly ms: number }
  readonly figures: Figures
  readonly log: Log
}

/** Makes the calls that tickets stand for: those that wait for the node's pool, and those that want this node. */
export class TicketedCalls {
  readonly #parts: TicketedParts
  #queues: readonly TicketWorker<CallTicket>[] = []

  constructor(parts: TicketedParts) {
    this.#parts = parts
  }

  /** Resolves when it takes tickets. */
  async open(): Promise<void> {
    const { node, redis, rate, figures, log } = this.#parts
    this.#queues = [nodeQueue(node.name), poolQueue(node.pool)].map(
      (queue) =>
        new TicketWorker<CallTicket>({
          ...{ redis, queue, concurrency: node.slots, lockMs: LOCK_MS, stalledMs: STALLED_MS, figures, log },
          ...present({ rate }),
          take: (ticket) => this.#take(ticket, queue),
        }),
    )
    await Promise.all(this.#queues.map((queue) => queue.ready()))
  }

  /** Fetches tickets only while the node takes calls. */
  allow(isUp: boolean): void {
    for (const queue of this.#queues) {
      if (isUp) queue.resume()
      else queue.pause().catch(() => undefined)
    }
  }

  /** Resolves when the calls in hand have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.close()))
  }

  disconnect(): void {
    for (const queue of this.#queues) queue.disconnect()
  }

  async #take(ticket: TakenTicket<CallTicket>, queue: string): Promise<object> {
    const { node, state, slots, calls, worker } = this.#parts
    const isPinned = queue === nodeQueue(node.name)
    const hasSlot = isPinned ? await slots.take(ticket.lost ?? new AbortController().signal) : slots.tryTake()
    // A ticket that this node can't serve now goes back: a ticket of the pool for another node, one of its own for later.
    if (!hasSlot || !state.isUp) {
      if (hasSlot) slots.release()
      for (const each of this.#queues) if (each.queue === queue) each.pause().catch(() => undefined)
      return ticket.giveBack()
    }
    try {
      const call = readCallTicket(ticket.data)
      state.callBegins()
      const claim = `ticket ${worker} ${ticket.id} ${ticket.attempts}`
      return { ...call, outcome: await calls.run(call, queue, claim, ticket.lost) }
    } finally {
      slots.release()
      state.review()
    }
  }
}
