import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { connect } from './connection.ts'
import type { FleetRedis } from './redis.ts'

/** What comes into an inbox: a kind, then what that kind carries. */
export type InboxMessage = readonly [kind: string, ...rest: unknown[]]

/** How long an inbox outlives the last sign of life of its process, ms. */
const ALIVE_MS = 10_000
const BLOCK_MS = 2000
/** Entries of one read: each is up to a megabyte of what one command posted. */
const BATCH = 64
/** Half of what a stream keeps (`post` in `commands/parts.lua`), for it is cut off in rough steps. */
const MANY_BEHIND = 10_000
/** How long it handles entries before other work of this process has its turn, ms. */
const TURN_MS = 10

/**
 * The one stream that a process reads, whatever the number of runs that it hosts or follows (a thousand streams in one read cost
 * ten times as much). Handlers are called synchronously, in the order of arrival.
 */
export class Inbox {
  readonly id = randomUUID()
  readonly #redis: FleetRedis
  readonly #reading: Redis
  readonly #handlers = new Map<string, (...rest: unknown[]) => void>()
  readonly #listeners = new Set<() => void>()
  #ready: ((characters: number) => Promise<void> | undefined) | undefined
  #last = '0-0'
  /** Entries that were read since it last had all of them. */
  #behind = 0
  #open = true
  #timer: NodeJS.Timeout | undefined

  constructor(redis: FleetRedis) {
    this.#redis = redis
    this.#reading = connect(redis.address)
  }

  /** Called with what follows the kind. One handler a kind. */
  on(kind: string, handler: (...rest: unknown[]) => void): void {
    this.#handlers.set(kind, handler)
  }

  /** Asked after each entry, with its length: undefined where the next may come, else what to wait for. */
  set pace(ready: (characters: number) => Promise<void> | undefined) {
    this.#ready = ready
  }

  /** Called when messages may have been missed: the inbox was gone for a while, or more came than it keeps. */
  onGap(listener: () => void): void {
    this.#listeners.add(listener)
  }

  async open(): Promise<void> {
    await this.#reading.connect()
    await this.#stayAlive()
    this.#timer = setInterval(() => void this.#stayAlive().catch(() => undefined), ALIVE_MS / 4)
    void this.#read()
  }

  close(): void {
    this.#open = false
    clearInterval(this.#timer)
    const { keys, client } = this.#redis
    void client.del(keys.alive(this.id), keys.inbox(this.id)).catch(() => undefined)
    this.#reading.disconnect()
  }

  async #stayAlive(): Promise<void> {
    const { keys, client } = this.#redis
    const was = await client.set(keys.alive(this.id), '1', 'PX', ALIVE_MS, 'GET')
    // A stream that nobody trims any more must not stay for ever.
    await client.pexpire(keys.inbox(this.id), 6 * ALIVE_MS)
    // What was read is of no use to anybody.
    await client.xtrim(keys.inbox(this.id), 'MINID', this.#last)
    if (was === null) this.#tellGap()
  }

  async #read(): Promise<void> {
    const { keys } = this.#redis
    while (this.#open) {
      try {
        const found = await this.#reading.xread(
          'COUNT',
          BATCH,
          'BLOCK',
          BLOCK_MS,
          'STREAMS',
          keys.inbox(this.id),
          this.#last,
        )
        const entries = (found?.[0]?.[1] ?? []) as [string, string[]][]
        await this.#take(entries)
      } catch {
        // ioredis comes back by itself; the stream is still there.
        if (this.#open) await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  async #take(entries: readonly [string, string[]][]): Promise<void> {
    let began = performance.now()
    for (const [id, [, payload]] of entries) {
      this.#last = id
      this.#handle(payload ?? '[]')
      const wait = this.#ready?.(payload?.length ?? 0)
      if (wait !== undefined) await wait
      if (performance.now() - began < TURN_MS) continue
      await new Promise(setImmediate)
      began = performance.now()
    }
    this.#behind += entries.length
    if (entries.length === BATCH) return
    // Entries are cut off where more wait than the stream keeps, and then as many are read before it has all: it looks once it has them.
    if (this.#behind >= MANY_BEHIND) this.#tellGap()
    this.#behind = 0
  }

  #tellGap(): void {
    for (const listener of this.#listeners) listener()
  }

  #handle(payload: string): void {
    let message: InboxMessage
    try {
      message = JSON.parse(payload) as InboxMessage
    } catch {
      // Nobody of this fleet wrote it.
      return
    }
    this.#hand(message)
  }

  #hand([kind, ...rest]: InboxMessage): void {
    // What one script posted comes as one entry.
    if (kind === 'many') for (const message of rest as InboxMessage[]) this.#hand(message)
    else this.#handlers.get(kind)?.(...rest)
  }
}
