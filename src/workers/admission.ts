import { CaesuraError } from '../core/errors.ts'
import type { FleetLimits } from '../core/fleet.ts'
import type { FleetRedis } from './redis.ts'

export const defaultLimits: Required<FleetLimits> = { maxWaiting: 20_000, memoryShare: 0.8 }

/** How long a reading of Redis's memory is taken for true, ms. */
const FRESH_MS = 1000
/** … where by what was submitted since it should be full, ms. */
const DOUBTED_MS = 100
/** What a run takes beside its spec until a worker has begun with it, bytes, and how often its spec is there. */
const RUN_BYTES = 2000
const SPEC_COPIES = 2

interface Reading {
  readonly at: number
  readonly used: number
  /** 0: Redis has no limit. */
  readonly most: number
}

/** Decides whether one more run is taken, before Redis refuses it: how many wait, and how full Redis is. */
export class Admission {
  readonly #redis: FleetRedis
  readonly #limits: Required<FleetLimits>
  #reading: Reading | undefined
  #looking: Promise<Reading> | undefined
  /** Submitted here since the reading, bytes. */
  #since = 0
  /** Safe in Redis, and without a ticket in the queue. */
  #underWay = 0

  constructor(redis: FleetRedis, limits: FleetLimits = {}) {
    this.#redis = redis
    this.#limits = { ...defaultLimits, ...limits }
  }

  /** How many may wait so that this one may: the queue doesn't yet hold what is being submitted here. */
  get mostWaiting(): number {
    // Without this one.
    return Math.max(0, this.#limits.maxWaiting - this.#underWay + 1)
  }

  /** Throws `CAESURA_E_FLEET_FULL` where Redis is so full that a run with a spec of this length is not taken. */
  async checkMemory(specLength: number): Promise<void> {
    if (this.#limits.memoryShare >= 1) return
    const bytes = RUN_BYTES + SPEC_COPIES * specLength
    let reading = await this.#read(FRESH_MS)
    if (this.#isFull(reading, bytes)) reading = await this.#read(DOUBTED_MS)
    if (this.#isFull(reading, bytes)) {
      const share = Math.round(this.#limits.memoryShare * 100)
      throw full(`Redis holds ${mib(reading.used)} of ${mib(reading.most)} MiB: above ${share} % no run is taken`, {
        hint: 'Let runs end, keep fewer of them (worker pipelines --keep, --keep-most), or give Redis more maxmemory.',
      })
    }
    this.#since += bytes
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

  #isFull({ used, most }: Reading, bytes: number): boolean {
    return most > 0 && used + this.#since + bytes > most * this.#limits.memoryShare
  }

  #read(freshMs: number): Promise<Reading> | Reading {
    if (this.#reading !== undefined && performance.now() - this.#reading.at < freshMs) return this.#reading
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** As Redis counts for `maxmemory`: without what it holds for its replicas and its file. */
  async #ask(): Promise<Reading> {
    const told = await this.#redis.client.info('memory')
    const figure = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(told)?.[1] ?? 0)
    this.#since = 0
    this.#reading = {
      at: performance.now(),
      used: Math.max(0, figure('used_memory') - figure('mem_not_counted_for_evict')),
      most: figure('maxmemory'),
    }
    return this.#reading
  }
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)

const full = (message: string, place: { received?: string; expected?: string; hint: string }): CaesuraError =>
  new CaesuraError('CAESURA_E_FLEET_FULL', message, place)
