import { CaesuraError } from '../core/errors.ts'
import type { FleetLimits } from '../core/fleet.ts'
import type { FleetRedis } from './redis.ts'
import { RedisMemory } from './redis-memory.ts'

export const defaultLimits: Required<FleetLimits> = { maxWaiting: 20_000, memoryShare: 0.8 }

/** What a run takes beside its spec until a worker has begun with it, bytes, and how often its spec is there. */
const RUN_BYTES = 2000
const SPEC_COPIES = 2

/** Decides whether one more run is taken, before Redis refuses it: how many wait, and how full Redis is. */
export class Admission {
  readonly #memory: RedisMemory
  readonly #limits: Required<FleetLimits>
  /** Safe in Redis, and without a ticket in the queue. */
  #underWay = 0

  constructor(redis: FleetRedis, limits: FleetLimits = {}) {
    this.#memory = new RedisMemory(redis)
    this.#limits = { ...defaultLimits, ...limits }
  }

  /** How many may wait so that this one may: the queue doesn't yet hold what is being submitted here. */
  get mostWaiting(): number {
    // Without this one.
    return Math.max(0, this.#limits.maxWaiting - this.#underWay + 1)
  }

  /** Throws `CAESURA_E_FLEET_FULL` where Redis is so full that a run with a spec of this length is not taken. */
  async checkMemory(specLength: number): Promise<void> {
    const { memoryShare } = this.#limits
    if (memoryShare >= 1) return
    const bytes = RUN_BYTES + SPEC_COPIES * specLength
    const held = await this.#memory.above(bytes, memoryShare)
    if (held === undefined) return this.#memory.wrote(bytes)
    const share = Math.round(memoryShare * 100)
    throw full(`Redis holds ${mib(held.used)} of ${mib(held.most)} MiB: above ${share} % no run is taken`, {
      hint: 'Let runs end, keep fewer of them (worker pipelines --keep, --keep-most), or give Redis more maxmemory.',
    })
  }

  /** Counts a run while it is submitted. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1
    try {
      return await work()
    } finally {
      this.#underWay -= 1
    }
  }

  tooMany(waiting: number): CaesuraError {
    return full(`${waiting} runs wait for a worker: no more than ${this.#limits.maxWaiting} may`, {
      received: String(waiting),
      expected: `fewer than ${this.#limits.maxWaiting}`,
      hint: 'Come back later, or start more workers.',
    })
  }
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)

const full = (message: string, place: { received?: string; expected?: string; hint: string }): CaesuraError =>
  new CaesuraError('CAESURA_E_FLEET_FULL', message, place)
