import { QueueKeys } from 'bullmq'
import type { FleetLoad } from '../core/fleet.ts'
import { nodeQueue, poolQueue, RUNS_QUEUE } from './keys.ts'
import { readNodes } from './node-directory.ts'
import type { FleetRedis } from './redis.ts'

/** How long a host is known after its last sign of life, ms; it gives one four times as often. */
const ALIVE_MS = 10_000
/** How long the whole list may stay where no host is left to tidy it, ms. */
const KEPT_MS = 60_000

/** Tells the fleet that a worker hosts runs, until `close`. */
export class HostSign {
  readonly #redis: FleetRedis
  readonly #id: string
  readonly #timer: NodeJS.Timeout

  constructor(redis: FleetRedis, id: string) {
    this.#redis = redis
    this.#id = id
    this.#timer = setInterval(() => void this.give().catch(() => undefined), ALIVE_MS / 4)
  }

  async give(): Promise<void> {
    const { client, keys } = this.#redis
    const now = await wallOf(this.#redis)
    await client
      .multi()
      .zadd(keys.hosts, now, this.#id)
      .zremrangebyscore(keys.hosts, '-inf', now - ALIVE_MS)
      .pexpire(keys.hosts, KEPT_MS)
      .exec()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#redis.client.zrem(this.#redis.keys.hosts, this.#id)
  }
}

/** What waits, and who works: one request for the time, two for the nodes, one for all the rest. */
export async function readLoad(redis: FleetRedis): Promise<FleetLoad> {
  const { client, keys } = redis
  const [nodes, now] = await Promise.all([readNodes(redis), wallOf(redis)])
  const queues = [
    RUNS_QUEUE,
    ...new Set(nodes.map(({ pool }) => poolQueue(pool))),
    ...nodes.map(({ name }) => nodeQueue(name)),
  ]
  const names = new QueueKeys(keys.prefix)
  const asked = queues.flatMap((queue) => {
    const { wait, prioritized } = names.getKeys(queue)
    return [
      ['llen', wait!],
      ['zcard', prioritized!],
    ]
  })
  const rows = await client
    .pipeline([...asked, ['zcard', keys.live], ['zcount', keys.hosts, `(${now - ALIVE_MS}`, '+inf']])
    .exec()
  const counts = (rows ?? []).map(([error, count]) => {
    if (error !== null) throw error
    return Number(count)
  })
  return {
    nodes,
    queues: queues.map((queue, index) => ({ queue, waiting: counts[2 * index]! + counts[2 * index + 1]! })),
    liveRuns: counts.at(-2)!,
    pipelineWorkers: counts.at(-1)!,
  }
}

/** ms since 1970 on Redis's own clock. */
async function wallOf({ client }: FleetRedis): Promise<number> {
  const [seconds, micros] = await client.time()
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
}
