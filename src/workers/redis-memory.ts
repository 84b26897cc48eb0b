import type { FleetRedis } from './redis.ts'

/** How long a reading of Redis's memory is taken for true, ms. */
const FRESH_MS = 1000
/** … where by what was written since it should be full, ms. */
const DOUBTED_MS = 100

export interface MemoryReading {
  readonly at: number
  /** Bytes, as Redis counts for `maxmemory`: without what it holds for its replicas and its file. */
  readonly used: number
  /** `maxmemory`, bytes. 0: Redis has no limit. */
  readonly most: number
}

/** Tells how full Redis is, between two readings by what this process said that it writes. */
export class RedisMemory {
  readonly #redis: FleetRedis
  #reading: MemoryReading | undefined
  #looking: Promise<MemoryReading> | undefined
  /** Written here since the reading, bytes. */
  #since = 0

  constructor(redis: FleetRedis) {
    this.#redis = redis
  }

  /** Whether Redis has a limit at all. */
  async hasLimit(): Promise<boolean> {
    return (await this.#read(FRESH_MS)).most > 0
  }

  /** What Redis holds, where these bytes and what was written since would bring it above this share of its memory; else undefined. */
  async above(bytes: number, share: number): Promise<MemoryReading | undefined> {
    const isAbove = ({ used, most }: MemoryReading) => most > 0 && used + this.#since + bytes > most * share
    let reading = await this.#read(FRESH_MS)
    if (isAbove(reading)) reading = await this.#read(DOUBTED_MS)
    return isAbove(reading) ? reading : undefined
  }

  /** So many bytes are about to be written. */
  wrote(bytes: number): void {
    this.#since += bytes
  }

  #read(freshMs: number): Promise<MemoryReading> | MemoryReading {
    if (this.#reading !== undefined && performance.now() - this.#reading.at < freshMs) return this.#reading
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #ask(): Promise<MemoryReading> {
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
