import { hostname } from 'node:os'
import { CaesuraError } from '../core/errors.ts'
import type { FleetNode } from '../core/fleet.ts'
import type { Node } from '../core/ports.ts'
import type { AnswerOf } from './commands.ts'
import type { FleetClock } from './fleet-clock.ts'
import { ALIVE_MS, Lease } from './lease.ts'
import { ANY_MODEL } from './node-directory.ts'
import type { FleetRedis } from './redis.ts'
import type { Slots } from './slots.ts'

/** A node's entry in the fleet's list. One worker a name. */
export class NodeRegistration {
  readonly #redis: FleetRedis
  readonly #clock: FleetClock
  readonly #node: Node
  readonly #worker: string
  readonly #slots: Slots
  readonly #version: string
  /** Its calls may begin only at a certain rate, which only its queues know. */
  readonly #isLimited: boolean
  readonly lease = new Lease()
  /** What its server can run, where the node does not say that itself; undefined: anything. */
  listed: readonly string[] | undefined

  constructor(
    redis: FleetRedis,
    clock: FleetClock,
    of: { node: Node; worker: string; slots: Slots; version: string; isLimited: boolean },
  ) {
    this.#redis = redis
    this.#clock = clock
    this.#node = of.node
    this.#worker = of.worker
    this.#slots = of.slots
    this.#version = of.version
    this.#isLimited = of.isLimited
  }

  /** The models that it takes calls for; undefined: any. A node that was told of none takes any. */
  get models(): readonly string[] | undefined {
    const { models, backend } = this.#node
    if (models !== undefined) return models.length === 0 ? undefined : models
    return backend.takesAnyModel ? undefined : this.listed
  }

  /** Takes the name. Throws `CAESURA_E_NODE_TAKEN` where another worker that lives has it. */
  async register(state: FleetNode['state'], reason: string): Promise<void> {
    const until = Date.now() + ALIVE_MS + 500
    for (;;) {
      const [answer, worker, host, pid] = await this.#write(state, reason)
      if (answer === 'ok') return
      // On this machine it can be seen whether that worker is still there; elsewhere its entry ends soon.
      const isDead = host === hostname() && !isAlive(Number(pid))
      if (isDead && (await this.#write(state, reason, String(worker)))[0] === 'ok') return
      if (Date.now() > until) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new CaesuraError('CAESURA_E_NODE_TAKEN', `another worker serves a node named ${this.#node.name}`, {
      received: this.#node.name,
      hint: 'Give this one another name: --node NAME.',
    })
  }

  /** A sign of life. False where the name is another worker's by now. */
  async announce(state: FleetNode['state'], reason: string): Promise<boolean> {
    return (await this.#write(state, reason))[0] === 'ok'
  }

  async forget(): Promise<void> {
    await this.#redis.call('forgetNode', this.#node.name, this.#worker)
  }

  /** `instead`: a worker that is known to be dead. */
  async #write(state: FleetNode['state'], reason: string, instead = ''): Promise<AnswerOf<'registerNode'>> {
    const { name, backend, pool } = this.#node
    const fields = {
      host: hostname(),
      pid: process.pid,
      pool,
      backend: backend.kind,
      address: backend.address ?? '',
      slots: this.#slots.size,
      busy: this.#slots.busy,
      models: this.models?.join('\n') ?? ANY_MODEL,
      version: this.#version,
      state,
      reason,
      rate: this.#isLimited ? 'limited' : '',
      term: this.lease.term,
      seen: Math.floor(this.#clock.wall()),
    }
    const sentAt = performance.now()
    const entry = Object.entries(fields).flat()
    const answer = await this.#redis.call('registerNode', name, this.#worker, ALIVE_MS, instead, ...entry)
    if (answer[0] === 'ok') this.lease.renew(sentAt)
    return answer
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
