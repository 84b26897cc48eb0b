import { Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { CaesuraError } from '../core/errors.ts'
import type { Figures } from '../core/figures.ts'
import type { Log } from '../core/log.ts'
import { connect } from './connection.ts'
import { putAside } from './dead.ts'
import type { FleetRedis } from './redis.ts'
import { tellFaults } from './run-lines.ts'
import { TakenTicket } from './taken-ticket.ts'

/** What a worker takes tickets of a queue with. */
export interface TicketWorkerParts<T> {
  readonly redis: FleetRedis
  readonly queue: string
  /** Tickets in hand at once. */
  readonly concurrency: number
  /** How long a ticket stays this worker's after its last sign of life, ms. */
  readonly lockMs: number
  /** How often it is looked whose locks have ended, ms. */
  readonly stalledMs: number
  /** Tickets that may begin in a time, over all workers; no limit by default. */
  readonly rate?: { readonly calls: number; readonly ms: number }
  readonly figures: Figures
  readonly log: Log
  /** Does what a ticket stands for. `CAESURA_E_STATE`: the ticket can't be read, and is put aside. */
  take(ticket: TakenTicket<T>): Promise<unknown>
  /** Hears that a ticket was put aside. */
  dead?(): void
}

/** Takes the tickets of one queue, as many at once as it may, and hands each to who does what it stands for. */
export class TicketWorker<T = unknown> {
  readonly queue: string
  readonly #parts: TicketWorkerParts<T>
  readonly #connection: Redis
  readonly #worker: Worker<T>
  #inHand = 0
  /** Called when no ticket is in hand any more. */
  #idle: () => void = () => undefined

  constructor(parts: TicketWorkerParts<T>) {
    const { redis, queue, rate, figures, log } = parts
    this.#parts = parts
    this.queue = queue
    this.#connection = connect(redis.address)
    // BullMQ hands the signal over only to a function with three parameters.
    this.#worker = new Worker<T>(
      queue,
      (job, token, signal) => this.#take(new TakenTicket(redis.refusals, job, token, signal)),
      {
        connection: this.#connection,
        prefix: redis.keys.prefix,
        concurrency: parts.concurrency,
        lockDuration: parts.lockMs,
        stalledInterval: parts.stalledMs,
        // How often a run may change hands, and what becomes of a call whose worker died, is decided where its state is, not by BullMQ.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        runRetryDelay: 250,
        drainDelay: 2,
        skipVersionCheck: true,
        ...(rate !== undefined && { limiter: { max: rate.calls, duration: rate.ms } }),
      },
    )
    tellFaults(this.#worker, log)
    this.#worker.on('lockRenewalFailed', (ids) => {
      figures.count('caesura.worker.lock_losses', {}, ids.length)
      for (const id of ids) this.#worker.cancelJob(id, 'its lock is lost')
    })
  }

  async ready(): Promise<void> {
    await this.#worker.waitUntilReady()
  }

  /** Fetches no more tickets. Those in hand stay its own. */
  async pause(): Promise<void> {
    await this.#worker.pause(true)
  }

  /** Resolves when no ticket is in hand, or once `signal` is aborted. */
  async drained(signal?: AbortSignal): Promise<void> {
    if (this.#inHand === 0 || signal?.aborted) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  resume(): void {
    if (this.#worker.isPaused()) this.#worker.resume()
  }

  /** Resolves when the tickets in hand are done. */
  async close(): Promise<void> {
    await this.#worker.close()
  }

  /** After `close`, or without it where Redis is away. */
  disconnect(): void {
    this.#connection.disconnect()
  }

  async #take(ticket: TakenTicket<T>): Promise<unknown> {
    const { redis, log, take, dead } = this.#parts
    this.#inHand += 1
    try {
      return await take(ticket)
    } catch (error) {
      if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_STATE') throw error
      await putAside(redis, { job: ticket.data }, error)
      dead?.()
      log.error(`a job is put aside: ${error.message}`, { job: ticket.id, code: error.code })
      return { outcome: 'dead' }
    } finally {
      this.#inHand -= 1
      if (this.#inHand === 0) this.#idle()
    }
  }
}
