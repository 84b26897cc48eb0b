import type { NodeWish } from '../core/call.ts'
import type { FleetNode } from '../core/fleet.ts'
import { nodeQueue, poolQueue } from './keys.ts'
import type { FleetRedis } from './redis.ts'

const REFRESH_MS = 500
/** A worker that has not been seen for so long after its entry has ended is gone, ms: Redis may have been away, and not the worker. */
const GONE_MS = 1000

/** The nodes of the fleet, read now and then. */
export class NodeDirectory {
  readonly #redis: FleetRedis
  #nodes: readonly FleetNode[] = []
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
  handOverTo(queue: string, { model, previousNode }: NodeWish): string | undefined {
    return this.#nodes.find(
      (node) =>
        (nodeQueue(node.name) === queue || (node.name === previousNode && poolQueue(node.pool) === queue)) &&
        mayTake(node, model),
    )?.name
  }

  /** The queue that a call like this belongs in; undefined while no node of the fleet may take it. */
  queueFor(wish: NodeWish): string | undefined {
    const { model, node: pinned, placement, otherwise, previousNode } = wish
    const able = this.#nodes.filter((candidate) => mayTake(candidate, model))
    if (pinned !== undefined) return able.some(({ name }) => name === pinned) ? nodeQueue(pinned) : undefined
    if (previousNode !== undefined && placement === 'same' && able.some(({ name }) => name === previousNode))
      return nodeQueue(previousNode)
    if (previousNode !== undefined && placement === 'other') {
      const others = able.filter(({ name }) => name !== previousNode)
      if (others.length > 0) return nodeQueue(freest(others).name)
    }
    if (able.length === 0 || (previousNode !== undefined && placement !== 'any' && otherwise !== 'any'))
      return undefined
    return poolQueue(freest(able).pool)
  }
}

/** Ollama lists a model that was pulled without a tag as `:latest`. */
const mayTake = ({ state, models }: FleetNode, model: string): boolean =>
  state === 'up' && (models.length === 0 || models.includes(model) || models.includes(`${model}:latest`))

const freest = (nodes: readonly FleetNode[]): FleetNode =>
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
    else found.push(nodeOf(name, fields))
  }
  if (gone.length > 0) await client.srem(keys.nodes, ...gone)
  return found
}

const nodeOf = (name: string, fields: Record<string, string>): FleetNode => ({
  name,
  worker: fields.worker ?? '',
  pool: fields.pool ?? 'default',
  backend: fields.backend ?? '',
  ...(fields.address !== undefined && fields.address !== '' && { address: fields.address }),
  slots: Number(fields.slots ?? 1),
  busy: Number(fields.busy ?? 0),
  models: (fields.models ?? '').split('\n').filter((model) => model !== ''),
  version: fields.version ?? '',
  state: fields.state === 'down' ? 'down' : fields.state === 'stopping' ? 'stopping' : 'up',
  ...(fields.reason !== undefined && fields.reason !== '' && { reason: fields.reason }),
  seen: Number(fields.seen ?? 0),
})
