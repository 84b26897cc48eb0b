import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { CaesuraError } from '../core/errors.ts'
import type { FleetNode } from '../core/fleet.ts'
import { nodeQueue, poolQueue, RUNS_QUEUE } from './keys.ts'
import type { FleetRedis } from './redis.ts'

/** A ticket says what is to be done; what that is, stands in Redis beside the run's state, and only that counts. */
const callTicketSchema = z.strictObject({ runId: z.string(), callId: z.string() })
export type CallTicket = z.infer<typeof callTicketSchema>

const runTicketSchema = z.strictObject({
  runId: z.string(),
  /** Added to the number of times that the ticket was taken up: the owner's epoch. */
  base: z.int().min(0),
})
export type RunTicket = z.infer<typeof runTicketSchema>

/** Throws `CAESURA_E_STATE` for a job that no fleet of this version added. */
export const readCallTicket = (data: unknown): CallTicket => readTicket(callTicketSchema, data)
export const readRunTicket = (data: unknown): RunTicket => readTicket(runTicketSchema, data)

function readTicket<T>(schema: z.ZodType<T>, data: unknown): T {
  const read = schema.safeParse(data)
  if (read.success) return read.data
  const [issue] = read.error.issues
  throw new CaesuraError('CAESURA_E_STATE', 'a queue of the fleet holds a job that is no ticket', {
    path: issue?.path.join('.') ?? '',
    received: JSON.stringify(data)?.slice(0, 100) ?? 'nothing',
    expected: issue?.message ?? '',
  })
}

/** BullMQ's highest number for a priority; smaller numbers go first, 0 before all. */
const LAST_PRIORITY = 2_097_152

/** BullMQ's queues of a fleet, each opened when it is first used. */
export class TicketQueues {
  readonly #redis: FleetRedis
  readonly #queues = new Map<string, Queue>()

  constructor(redis: FleetRedis) {
    this.#redis = redis
  }

  /** Adding a call twice makes one ticket. */
  async add(queue: string, runId: string, callId: string, priority: number): Promise<void> {
    const ticket: CallTicket = { runId, callId }
    const options = { jobId: `${runId}.${callId}`, ...jobOptions(priority) }
    await this.#redis.refusals.waitOut(() => this.#queue(queue).add('call', ticket, options))
  }

  /** Adding a run twice makes one ticket. */
  async addRun(runId: string, priority: number, base = 0): Promise<void> {
    const ticket: RunTicket = { runId, base }
    const options = { jobId: runJob(runId), ...jobOptions(priority) }
    await this.#redis.refusals.waitOut(() => this.#queue(RUNS_QUEUE).add('run', ticket, options))
  }

  /** Whether a ticket of the run lies in the queue, or is taken up. */
  async hasRun(runId: string): Promise<boolean> {
    return (await this.#queue(RUNS_QUEUE).getJob(runJob(runId))) !== undefined
  }

  /** Moves a call that still waits to another queue; its old ticket counts no more. False where it waits no more. */
  async move(runId: string, callId: string, queue: string, priority: number): Promise<boolean> {
    const [answer] = await this.#redis.call('moveCall', runId, callId, queue)
    if (answer === 'ok') await this.add(queue, runId, callId, priority)
    return answer === 'ok'
  }

  /** Whether a worker takes tickets from this queue. */
  isServed(queue: string, nodes: readonly FleetNode[]): boolean {
    return nodes.some(
      ({ name, pool, state }) => state === 'up' && (nodeQueue(name) === queue || poolQueue(pool) === queue),
    )
  }

  /** How many tickets wait, by queue. */
  async waiting(queue: string): Promise<number> {
    return (await this.#queue(queue).getJobCountByTypes('waiting', 'prioritized')) as number
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()))
  }

  #queue(name: string): Queue {
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      queue = new Queue(name, {
        connection: this.#redis.client as Redis,
        prefix: this.#redis.keys.prefix,
        // What it checks at the start was checked when the connection was opened.
        skipVersionCheck: true,
        skipMetasUpdate: true,
      })
      queue.on('error', () => undefined)
      this.#queues.set(name, queue)
    }
    return queue
  }
}

/** BullMQ refuses ids that are numbers. */
const runJob = (runId: string): string => `run-${runId}`

const jobOptions = (priority: number) => ({
  removeOnComplete: true,
  removeOnFail: true,
  ...(priority > 0 && { priority: Math.min(Math.ceil(priority), LAST_PRIORITY) }),
})
