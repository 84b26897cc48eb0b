import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { connect } from './connection.ts'
import type { Lease } from './lease.ts'
import { type GivenCall, type Order, readOrder } from './orders.ts'
import type { FleetRedis } from './redis.ts'
import type { Slots } from './slots.ts'
import type { StageCalls } from './stage-calls.ts'
import type { CallTicket } from './ticket-queues.ts'

/** What the direct calls of a worker are made with. */
export interface DirectParts {
  readonly redis: FleetRedis
  readonly worker: string
  readonly calls: StageCalls
  readonly slots: Slots
  readonly lease: Lease
  /** Whether the node takes calls. */
  isUp(): boolean
  /** Hears that a call begins. */
  begins(): void
  /** Hears that a slot was given back. */
  freed(): void
}

/** Follows what is published to one worker: calls that it makes without a ticket, and cancels. */
export class DirectCalls {
  readonly #parts: DirectParts
  /** The claims of calls that were given to this worker, until their ends are written. */
  readonly #given = new Set<string>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #orders: Redis

  constructor(parts: DirectParts) {
    this.#parts = parts
    this.#orders = connect(parts.redis.address)
  }

  /** Resolves when it hears what is published. */
  async open(): Promise<void> {
    const { redis, worker, calls } = this.#parts
    await this.#orders.connect()
    await this.#orders.subscribe(redis.keys.orders(worker))
    this.#orders.on('message', (_channel: string, message: string) => this.#hear(message))
    // What was published while the connection was gone is lost; the flags are not.
    this.#orders.on('ready', () => void calls.recheck().catch(() => undefined))
  }

  /** The connection that only listens would not notice that it has gone silent. */
  ping(): void {
    this.#orders.ping().catch(() => undefined)
  }

  disconnect(): void {
    this.#orders.disconnect()
  }

  /** What is no order is left out. */
  #hear(message: string): void {
    const order = readOrder(message)
    if (order === undefined) return
    const followed = this.#follow(order)
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(followed))
    this.#underWay.add(followed)
  }

  /** Resolves when the orders so far are carried out. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async #follow(order: Order): Promise<void> {
    const { runId, callId } = order.ticket
    if (order.kind === 'cancel') this.#parts.calls.cancel(runId, callId, 'interrupted')
    else if (order.kind === 'take') await this.#take(order.ticket, order.queue)
    else if (order.kind === 'begin') await this.#begin(order)
    else if (!this.#given.has(this.#claimOf(order.number)))
      await this.#decline(order.ticket, this.#claimOf(order.number))
  }

  /** Claims a call that the run's owner has asked this worker to take, and makes it; declines where it can't. */
  async #take(ticket: CallTicket, queue: string): Promise<void> {
    const { slots, calls, worker, isUp } = this.#parts
    if (!isUp() || !slots.tryTake()) return this.#decline(ticket, '')
    await this.#inSlot(() => calls.run(ticket, queue, `direct ${worker} ${randomUUID()}`))
  }

  /** Makes a call that was given to this worker, or gives it back. One that was given before its lease ran out may be another's by now. */
  async #begin({ ticket, number, term, request }: GivenCall): Promise<void> {
    const { slots, calls, lease, isUp } = this.#parts
    const claim = this.#claimOf(number)
    if (!lease.holds(term) || !isUp() || !slots.tryTake()) return this.#decline(ticket, claim)
    this.#given.add(claim)
    await this.#inSlot(async () => {
      if (!(await calls.runGiven(ticket, claim, request))) await this.#decline(ticket, claim)
    }).finally(() => this.#given.delete(claim))
  }

  async #inSlot(make: () => Promise<unknown>): Promise<void> {
    const { slots, begins, freed } = this.#parts
    try {
      begins()
      await make()
    } finally {
      slots.release()
      freed()
    }
  }

  /** `claim`: '' for a call that was only offered. */
  async #decline({ runId, callId }: CallTicket, claim: string): Promise<void> {
    await this.#parts.redis.call('declineCall', runId, callId, claim)
  }

  #claimOf(number: string): string {
    return `direct ${this.#parts.worker} ${number}`
  }
}
