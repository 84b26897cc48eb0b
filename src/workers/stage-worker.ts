import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Figures, noFigures } from '../core/figures.ts'
import type { FleetAddress } from '../core/fleet.ts'
import { type Log, silentLog } from '../core/log.ts'
import type { Node } from '../core/ports.ts'
import { present } from '../core/present.ts'
import { DirectCalls } from './direct-calls.ts'
import { type FleetClock, fleetClock, processOf } from './fleet-clock.ts'
import type { FleetWorker } from './fleet-worker.ts'
import { ALIVE_MS } from './lease.ts'
import { NodeRegistration } from './node-registration.ts'
import { NodeState } from './node-state.ts'
import { type FleetRedis, openFleetRedis, tellOutages } from './redis.ts'
import { Slots } from './slots.ts'
import { StageCalls, tellCall } from './stage-calls.ts'
import { TicketedCalls } from './ticketed-calls.ts'
import { within } from './within.ts'

export interface StageWorkerSettings {
  readonly redis: FleetAddress
  readonly node: Node
  /** Of this software, for `caesura nodes`. */
  readonly version: string
  /** How long calls may go on after a stop, ms; 10,000 by default. */
  readonly graceMs?: number
  /** Without a byte for so long, ms, while other calls go on, a call is reported as stuck; 30,000 by default. */
  readonly stuckMs?: number
  /** Tickets of the pool, or of this node, that may begin in a time, over all workers; no limit by default. */
  readonly rate?: { readonly calls: number; readonly ms: number }
  /** By which records and spans name this process; `caesura-stages` by default. */
  readonly service?: string
  /** What of this worker is counted; nothing by default. */
  readonly figures?: Figures
  /** Hears what an operator should know; silent by default. */
  readonly log?: Log
}

const GRACE_MS = 10_000
const STUCK_MS = 30_000
const MODELS_MS = 3000
/** How often it gives a sign of life, ms; how many of these come between two looks at its server, and at the flags of its calls. */
const BEAT_MS = ALIVE_MS / 4
const LOOK_BEATS = 6
const RECHECK_BEATS = 2
/** How long the ends of calls may take to be told, ms. */
const CLOSE_MS = 3000

/**
 * Serves one node: makes the calls that wait for its pool or for itself, as many at once as it has slots. Throws `CAESURA_E_REDIS`,
 * `CAESURA_E_NODE_TAKEN`.
 */
export async function startStageWorker(settings: StageWorkerSettings): Promise<FleetWorker> {
  const redis = await openFleetRedis(settings.redis)
  const worker = new StageWorker(settings, redis, await fleetClock(redis))
  await worker.start()
  return worker
}

/** A worker that serves one node: its signs of life, and how it ends. */
class StageWorker implements FleetWorker {
  readonly id = randomUUID()
  readonly #settings: StageWorkerSettings
  readonly #redis: FleetRedis
  readonly #clock: FleetClock
  readonly #log: Log
  readonly #figures: Figures
  readonly #slots: Slots
  readonly #state: NodeState
  readonly #registration: NodeRegistration
  readonly #calls: StageCalls
  readonly #direct: DirectCalls
  readonly #tickets: TicketedCalls
  #heart: NodeJS.Timeout | undefined
  #beats = 0

  constructor(settings: StageWorkerSettings, redis: FleetRedis, clock: FleetClock) {
    const { node, figures = noFigures, rate } = settings
    const worker = this.id
    const log = (settings.log ?? silentLog).child({ node: node.name, worker })
    this.#settings = settings
    this.#redis = redis
    this.#clock = clock
    this.#log = log
    this.#figures = figures
    tellOutages(redis, log, figures)
    const slots = new Slots(node.slots)
    const state = new NodeState({
      ...{ node: node.name, log, stuck: () => this.#stuck() },
      decided: (isUp) => this.#tickets.allow(isUp),
    })
    const calls = this.#stageCalls()
    this.#slots = slots
    this.#state = state
    this.#calls = calls
    this.#registration = new NodeRegistration(redis, clock, {
      node,
      worker,
      slots,
      version: settings.version,
      isLimited: rate !== undefined,
    })
    this.#direct = new DirectCalls({
      ...{ redis, calls, slots, worker, lease: this.#registration.lease },
      isUp: () => state.isUp,
      begins: () => state.callBegins(),
      freed: () => state.review(),
    })
    this.#tickets = new TicketedCalls({
      ...{ redis, node, worker, state, slots, calls, figures, log },
      ...present({ rate }),
    })
  }

  /** Resolves when it takes calls. Throws `CAESURA_E_NODE_TAKEN`. */
  async start(): Promise<void> {
    await this.#look()
    this.#state.review()
    try {
      await this.#registration.register(this.#state.state, this.#state.reason)
    } catch (error) {
      this.#redis.close()
      throw error
    }
    await this.#direct.open()
    await this.#tickets.open()
    this.#state.review()
    this.#showFigures()
    this.#heart = setInterval(() => void this.#beat().catch(() => undefined), BEAT_MS)
  }

  async close(): Promise<void> {
    const { node, graceMs = GRACE_MS } = this.#settings
    this.#state.blame('stopping', 'its worker is being stopped')
    this.#state.review()
    await within(500, () => this.#announce())
    const until = Date.now() + graceMs
    while (this.#slots.busy > 0 && Date.now() < until) await pause(20)
    this.#calls.stop()
    // While Redis is away no end can be told: the locks end, and the calls count as lost.
    await within(CLOSE_MS, () => Promise.all([this.#direct.settled(), this.#tickets.close()]))
    clearInterval(this.#heart)
    this.#clock.close()
    await within(500, () => this.#registration.forget())
    this.#direct.disconnect()
    this.#tickets.disconnect()
    await node.backend.close()
    this.#redis.close()
    this.#log.info('stopped')
  }

  #stageCalls(): StageCalls {
    const { node, service = 'caesura-stages' } = this.#settings
    return new StageCalls({
      ...{ redis: this.#redis, clock: this.#clock, node, worker: this.id },
      models: () => this.#registration.models,
      lostModel: async () => {
        await this.#look()
        this.#state.review()
        await this.#announce().catch(() => undefined)
      },
      process: () => processOf(service, this.id, this.#clock),
      ended: (end, request) => {
        this.#figures.count('caesura.worker.calls', { node: node.name, pool: node.pool, end: end.end })
        tellCall(this.#log, node.name, end, request)
        this.#state.callEnded(end)
      },
    })
  }

  #stuck(): string {
    return this.#calls.stuck(this.#settings.stuckMs ?? STUCK_MS)
  }

  /** Whether the server answers, and what it can run. */
  async #look(): Promise<void> {
    const registration = this.#registration
    try {
      const models = await this.#settings.node.backend.models(AbortSignal.timeout(MODELS_MS))
      registration.listed = models.map(({ name }) => name)
      this.#state.blame('server', registration.models?.length === 0 ? 'its server has no models' : '')
    } catch (error) {
      this.#state.blame('server', error instanceof Error ? error.message : String(error))
    }
  }

  #announce(): Promise<boolean> {
    return this.#registration.announce(this.#state.state, this.#state.reason)
  }

  async #beat(): Promise<void> {
    this.#beats += 1
    this.#direct.ping()
    if (this.#beats % LOOK_BEATS === 0 || this.#state.hasServerFault) await this.#look()
    if (this.#beats % RECHECK_BEATS === 0) await this.#calls.recheck()
    this.#state.review()
    const isOurs = await this.#announce()
    this.#state.blame('name', isOurs ? '' : 'another worker has taken its name')
    this.#state.review()
  }

  #showFigures(): void {
    const figures = this.#figures
    const slots = this.#slots
    const { name, pool } = this.#settings.node
    const labels = { node: name, pool }
    for (const end of ['completed', 'cancelled', 'failed']) figures.count('caesura.worker.calls', { ...labels, end }, 0)
    figures.count('caesura.worker.lock_losses', {}, 0)
    figures.watch(() => ({
      'caesura.worker.up': [{ value: this.#state.isUp ? 1 : 0, labels }],
      'caesura.worker.slots': [{ value: slots.size, labels }],
      'caesura.worker.busy': [{ value: slots.busy, labels }],
      'caesura.worker.waiting': [{ value: slots.waiting, labels }],
      'caesura.worker.stuck': [{ value: this.#stuck() === '' ? 0 : 1, labels }],
    }))
  }
}
