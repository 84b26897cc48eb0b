import { DelayedError, type Job, WaitingError } from 'bullmq'
import type { Refusals } from './refusals.ts'

/** A ticket that this worker has in hand: what it says, and how it is given back. */
export class TakenTicket<T> {
  readonly id: string
  /** As it was added; anybody may have added it. */
  readonly data: T
  /** How often it was taken up by now. */
  readonly attempts: number
  /** Aborted when it is not this worker's any more. */
  readonly lost: AbortSignal | undefined
  readonly #refusals: Refusals
  readonly #job: Job<T>
  readonly #token: string | undefined

  constructor(refusals: Refusals, job: Job<T>, token: string | undefined, lost: AbortSignal | undefined) {
    this.id = String(job.id)
    this.data = job.data
    this.attempts = job.attemptsStarted
    this.lost = lost
    this.#refusals = refusals
    this.#job = job
    this.#token = token
  }

  /** For any worker, at once. Where the ticket is not ours any more, somebody else has it. Throws what BullMQ is to hear. */
  async giveBack(): Promise<never> {
    await this.#refusals.waitOut(() => this.#job.moveToWait(this.#token)).catch(() => undefined)
    throw new WaitingError()
  }

  /** For any worker, after `ms`. Throws what BullMQ is to hear. */
  async giveBackIn(ms: number): Promise<never> {
    await this.#refusals.waitOut(() => this.#job.moveToDelayed(Date.now() + ms, this.#token)).catch(() => undefined)
    throw new DelayedError()
  }
}
