import { z } from 'zod'
import type { NodeWish } from '../core/call.ts'
import type { FleetNode } from '../core/fleet.ts'
import { candidatesFor } from '../core/placement.ts'
import { nodeQueue, poolQueue } from './keys.ts'
import type { FleetRedis } from './redis.ts'

const REFRESH_MS = 500
/** Stands in a node's entry for a list of its models: it takes calls for any. */
export const ANY_MODEL = '*'
/** A worker that has not been seen for so long after its entry has ended is gone, ms: Redis may have been away, and not the worker. */
const GONE_MS = 1000

/** The nodes of the fleet, read now and then. */
export class NodeDirectory {
  readonly #redis: FleetRedis
  #nodes: readonly FleetNode[] = []
  /** The nodes that take calls, with the models that they take them for. */
  #up: readonly PlacedNode[] = []
  #timer: NodeJS.Timeout | undefined
  readonly #listeners = new Set<() => void>()
  /** Since when Redis has answered in time, ms of the process. */
  #steadySince = performance.now()
  #refreshedAt = performance.now()

  constructor(redis: FleetRedis) {
    this.#redis = redis
  }

  async open(): Promise<void> {
    await this.refresh()
    this.#timer = setInterval(() => void this.refresh().catch(() => undefined), REFRESH_MS)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  get nodes(): readonly FleetNode[] {
    return this.#nodes
  }

  /** Called after each refresh. */
  onRefresh(listener: () => void): void {
    this.#listeners.add(listener)
  }

  async refresh(): Promise<void> {
    this.#nodes = await readNodes(this.#redis)
    this.#up = placedNodes(this.#nodes)
    const now = performance.now()
    if (now - this.#refreshedAt > 2 * REFRESH_MS) this.#steadySince = now
    this.#refreshedAt = now
    for (const listener of this.#listeners) listener()
  }

  /** Whether Redis has answered for long enough that a worker that it does not know is gone. */
  get isSteady(): boolean {
    return performance.now() - this.#steadySince > GONE_MS
  }

  /** Whether this worker serves no node any more. */
  isGone(worker: string): boolean {
    return this.isSteady && !this.#nodes.some((node) => node.worker === worker)
  }

  /** The node that may take a call of this queue without a ticket: that of the queue, else the one that the run was on before. */
  handOverTo(queue: string, wish: NodeWish): string | undefined {
    return candidatesFor(this.#up, wish).find(
      ({ name, pool }) => nodeQueue(name) === queue || (name === wish.previousNode && poolQueue(pool) === queue),
    )?.name
  }

  /**
   * The queue that a call like this belongs in; undefined while no node of the fleet may take it. That of a pool only where every node
   * of the pool may take it: whichever is free first does.
   */
  queueFor(wish: NodeWish): string | undefined {
    const up = this.#up
    const able = candidatesFor(up, wish)
    if (able.length === 0) return undefined
    const { name, pool } = freest(able)
    const isFree = wish.node === undefined && (wish.placement === 'any' || able.length === up.length)
    const isUniform = up.every((node) => node.pool !== pool || able.includes(node))
    return isFree && isUniform ? poolQueue(pool) : nodeQueue(name)
  }

  /** A node with a free slot that may take a call instead of the one in whose queue it waits. */
  freerThan(queue: string, wish: NodeWish): string | undefined {
    const able = candidatesFor(this.#up, wish)
    const present = able.find(({ name }) => nodeQueue(name) === queue)
    if (present === undefined || present.busy < present.slots) return undefined
    const free = able.filter(({ slots, busy }) => busy < slots)
    return free.length === 0 ? undefined : nodeQueue(freest(free).name)
  }
}

type PlacedNode = Omit<FleetNode, 'models' | 'anyModel'> & { readonly models: readonly string[] | undefined }

const placedNodes = (nodes: readonly FleetNode[]): PlacedNode[] =>
  nodes
    .filter(({ state }) => state === 'up')
    .map(({ models, anyModel, ...node }) => ({ ...node, models: anyModel ? undefined : models }))

const freest = (nodes: readonly PlacedNode[]): PlacedNode =>
  nodes.reduce((best, node) => (node.slots - node.busy > best.slots - best.busy ? node : best))

/** All nodes that live, by name. Forgets those that don't. */
export async function readNodes({ client, keys }: FleetRedis): Promise<FleetNode[]> {
  const names = (await client.smembers(keys.nodes)).sort()
  if (names.length === 0) return []
  const rows = await client.pipeline(names.map((name) => ['hgetall', keys.node(name)])).exec()
  const found: FleetNode[] = []
  const gone: string[] = []
  for (const [index, name] of names.entries()) {
    const fields = (rows?.[index]?.[1] ?? {}) as Record<string, string>
    if (fields.worker === undefined) gone.push(name)
    else found.push(...[nodeOf(name, fields)].filter((node) => node !== undefined))
  }
  if (gone.length > 0) await client.srem(keys.nodes, ...gone)
  return found
}

const count = (most: number) => z.coerce.number().int().min(0).max(most)

/** A node's entry. What an older version leaves out has a default. */
const entrySchema = z.object({
  worker: z.string().min(1),
  pool: z.string().default('default'),
  backend: z.string().default(''),
  address: z.string().default(''),
  slots: count(100_000).default(1),
  busy: count(100_000).default(0),
  models: z.string().default(''),
  version: z.string().default(''),
  state: z.enum(['up', 'down', 'stopping']).default('up'),
  reason: z.string().default(''),
  seen: count(Number.MAX_SAFE_INTEGER).default(0),
})

/** Undefined for an entry that no worker wrote. */
function nodeOf(name: string, fields: Record<string, string>): FleetNode | undefined {
  const read = entrySchema.safeParse(fields)
  if (!read.success) return undefined
  const { address, models, reason, ...entry } = read.data
  // A worker of an older version writes nothing where it takes any.
  const isAny = models === '' || models === ANY_MODEL
  return {
    name,
    ...entry,
    ...(address !== '' && { address }),
    models: isAny ? [] : models.split('\n').filter((model) => model !== ''),
    ...(isAny && { anyModel: true }),
    ...(reason !== '' && { reason }),
  }
}
