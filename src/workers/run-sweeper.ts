import { SESSION_KEEP_MS } from './fleet-sessions.ts'
import type { FleetRedis } from './redis.ts'
import type { TicketQueues } from './ticket-queues.ts'
import type { UntoldRuns } from './untold-runs.ts'

const SWEEP_MS = 5000
/** A run that was submitted within this time may be about to have its ticket, ms. */
const YOUNG_MS = 5000
const PAGE = 200

/**
 * Finds runs that have not ended and have no ticket, and gives them one: whoever submitted them died before, or a fault of Redis or of
 * a worker took the ticket away. One worker of the fleet at a time does it, a page each time.
 */
export class RunSweeper {
  readonly #redis: FleetRedis
  readonly #tickets: TicketQueues
  readonly #wall: () => number
  readonly #untold: UntoldRuns | undefined
  readonly #timer: NodeJS.Timeout
  #offset = 0

  /** `untold`: absent in a process that does not trace. */
  constructor(redis: FleetRedis, tickets: TicketQueues, wall: () => number, untold?: UntoldRuns) {
    this.#redis = redis
    this.#tickets = tickets
    this.#wall = wall
    this.#untold = untold
    this.#timer = setInterval(() => void this.sweep().catch(() => undefined), SWEEP_MS)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async sweep(): Promise<void> {
    const { client, keys } = this.#redis
    if ((await client.set(keys.sweep, '1', 'PX', SWEEP_MS - 500, 'NX')) === null) return
    const until = this.#wall() - YOUNG_MS
    const runs = await client.zrangebyscore(keys.live, '-inf', until, 'LIMIT', this.#offset, PAGE)
    this.#offset = runs.length < PAGE ? 0 : this.#offset + PAGE
    for (const runId of runs) {
      if (await this.#tickets.hasRun(runId)) continue
      // A key of another type is no run.
      const [status, epoch, waits] = await client
        .hmget(keys.run(runId), 'status', 'epoch', 'waits')
        .catch((error: Error) => {
          if (/WRONGTYPE/.test(error.message)) return [null, null, null]
          throw error
        })
      // An epoch that is no number is for the worker to find that takes the run up.
      if (status === 'live' && waits !== null) await this.#next(runId)
      else if (status === 'live') await this.#tickets.addRun(runId, 0, Math.trunc(Number(epoch)) || 0)
      else await client.zrem(keys.live, runId)
    }
    await this.#untold?.tellLate()
  }

  /** A run that waits for its session: begins the one whose turn it is, where whoever should have done so died. */
  async #next(runId: string): Promise<void> {
    const [, following] = await this.#redis.call('nextRun', runId, SESSION_KEEP_MS)
    if (following !== '') await this.#tickets.addRun(following, 0)
  }
}
