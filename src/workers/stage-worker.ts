import { randomUUID } from 'node:crypto'
import { type Job, WaitingError, Worker } from 'bullmq'
import { CaesuraError } from '../core/errors.ts'
import { type Figures, noFigures } from '../core/figures.ts'
import type { FleetAddress, FleetNode } from '../core/fleet.ts'
import { type Log, silentLog } from '../core/log.ts'
import type { Node } from '../core/ports.ts'
import { connect } from './connection.ts'
import { putAside } from './dead.ts'
import { DirectCalls } from './direct-calls.ts'
import { fleetClock, processOf } from './fleet-clock.ts'
import { nodeQueue, poolQueue } from './keys.ts'
import { ALIVE_MS } from './lease.ts'
import { NodeHealth } from './node-health.ts'
import { NodeRegistration } from './node-registration.ts'
import type { FleetWorker } from './pipeline-worker.ts'
import { openFleetRedis, tellOutages } from './redis.ts'
import { tellFaults } from './run-lines.ts'
import { Slots } from './slots.ts'
import { StageCalls, tellCall } from './stage-calls.ts'
import { type CallTicket, readCallTicket } from './ticket-queues.ts'
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

/** A call whose worker died is taken from it after 1.5 to 2.5 s. */
const LOCK_MS = 1500
const STALLED_MS = 500
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
  const { node, figures = noFigures } = settings
  const labels = { node: node.name, pool: node.pool }
  const redis = await openFleetRedis(settings.redis)
  const { keys } = redis
  const clock = await fleetClock(redis)
  const id = randomUUID()
  const log = (settings.log ?? silentLog).child({ node: node.name, worker: id })
  tellOutages(redis, log, figures)
  const slots = new Slots(node.slots)
  const health = new NodeHealth()
  const calls = new StageCalls({
    redis,
    clock,
    node,
    worker: id,
    models: () => registration.models,
    lostModel: async () => {
      await look()
      review()
      await registration.announce(state, reason).catch(() => undefined)
    },
    process: () => processOf(settings.service ?? 'caesura-stages', id, clock),
    ended: (end, request) => {
      figures.count('caesura.worker.calls', { ...labels, end: end.end })
      tellCall(log, node.name, end, request)
      health.noteEnd(end, performance.now())
      review()
    },
  })
  const registration = new NodeRegistration(redis, clock, {
    node,
    worker: id,
    slots,
    version: settings.version,
    isLimited: settings.rate !== undefined,
  })
  /** Why the node takes no calls, by who says so; the first counts. */
  const faults = { stopping: '', name: '', server: '' }
  const workers: Worker<CallTicket>[] = []
  const connections: { disconnect(): void }[] = []
  let state: FleetNode['state'] = 'up'
  let reason = ''
  let isStuck = false

  /** Whether the server answers, and what it can run. */
  async function look(): Promise<void> {
    try {
      registration.listed = (await node.backend.models(AbortSignal.timeout(MODELS_MS))).map(({ name }) => name)
      faults.server = registration.models?.length === 0 ? 'its server has no models' : ''
    } catch (error) {
      faults.server = error instanceof Error ? error.message : String(error)
    }
  }

  /** Decides anew whether the node takes calls. */
  function review(): void {
    const open = health.state(performance.now()) === 'open' ? health.reason : ''
    const why = faults.stopping || faults.name || faults.server || open
    const next = faults.stopping !== '' ? 'stopping' : why !== '' ? 'down' : 'up'
    if (next !== state || why !== (state === 'up' ? '' : reason))
      log[next === 'down' ? 'warn' : 'info'](`node ${node.name}: ${next}${why === '' ? '' : `: ${why}`}`, {
        state: next,
        ...(why !== '' && { reason: why }),
      })
    state = next
    const stuck = calls.stuck(settings.stuckMs ?? STUCK_MS)
    if (stuck !== '' && !isStuck) log.warn(`node ${node.name}: ${stuck}`)
    isStuck = stuck !== ''
    reason = why !== '' ? why : stuck
    for (const worker of workers) {
      if (state !== 'up') worker.pause(true).catch(() => undefined)
      else if (worker.isPaused()) worker.resume()
    }
  }

  async function take(job: Job<CallTicket>, token: string | undefined, lost: AbortSignal | undefined, queue: string) {
    const isPinned = queue === nodeQueue(node.name)
    const hasSlot = isPinned ? await slots.take(lost ?? new AbortController().signal) : slots.tryTake()
    // A ticket that this node can't serve now goes back: a ticket of the pool for another node, one of its own for later.
    if (!hasSlot || state !== 'up') {
      if (hasSlot) slots.release()
      for (const worker of workers) if (worker.name === queue) worker.pause(true).catch(() => undefined)
      await redis.refusals.waitOut(() => job.moveToWait(token)).catch(() => undefined)
      throw new WaitingError()
    }
    try {
      const ticket = readCallTicket(job.data)
      begins()
      const claim = `ticket ${id} ${job.id} ${job.attemptsStarted}`
      return { ...ticket, outcome: await calls.run(ticket, queue, claim, lost) }
    } catch (error) {
      if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_STATE') throw error
      await putAside(redis, { job: job.data }, error)
      log.error(`a job is put aside: ${error.message}`, { job: String(job.id), code: error.code })
      return { outcome: 'dead' }
    } finally {
      slots.release()
      review()
    }
  }

  function begins(): void {
    health.noteStart(performance.now())
    review()
  }

  await look()
  review()
  try {
    await registration.register(state, reason)
  } catch (error) {
    redis.close()
    throw error
  }

  const orders = connect(settings.redis)
  await orders.connect()
  await orders.subscribe(keys.orders(id))
  const direct = new DirectCalls({
    ...{ redis, calls, slots, worker: id, lease: registration.lease },
    isUp: () => state === 'up',
    begins,
    freed: review,
  })
  orders.on('message', (_channel: string, message: string) => direct.hear(message))
  // What was published while the connection was gone is lost; the flags are not.
  orders.on('ready', () => void calls.recheck().catch(() => undefined))

  for (const queue of [nodeQueue(node.name), poolQueue(node.pool)]) {
    const connection = connect(settings.redis)
    connections.push(connection)
    const worker = new Worker<CallTicket>(queue, (job, token, signal) => take(job, token, signal, queue), {
      connection,
      prefix: keys.prefix,
      concurrency: node.slots,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_MS,
      // What becomes of a call whose worker died is decided where its state is, not by BullMQ.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: 250,
      drainDelay: 2,
      skipVersionCheck: true,
      ...(settings.rate !== undefined && { limiter: { max: settings.rate.calls, duration: settings.rate.ms } }),
    })
    tellFaults(worker, log)
    worker.on('lockRenewalFailed', (ids) => {
      figures.count('caesura.worker.lock_losses', {}, ids.length)
      for (const job of ids) worker.cancelJob(job, 'its lock is lost')
    })
    workers.push(worker)
  }
  await Promise.all(workers.map((worker) => worker.waitUntilReady()))
  review()

  for (const end of ['completed', 'cancelled', 'failed']) figures.count('caesura.worker.calls', { ...labels, end }, 0)
  figures.count('caesura.worker.lock_losses', {}, 0)
  figures.watch(() => ({
    'caesura.worker.up': [{ value: state === 'up' ? 1 : 0, labels }],
    'caesura.worker.slots': [{ value: slots.size, labels }],
    'caesura.worker.busy': [{ value: slots.busy, labels }],
    'caesura.worker.waiting': [{ value: slots.waiting, labels }],
    'caesura.worker.stuck': [{ value: calls.stuck(settings.stuckMs ?? STUCK_MS) === '' ? 0 : 1, labels }],
  }))
  let beats = 0
  async function beat(): Promise<void> {
    beats += 1
    // The connection that only listens would not notice that it has gone silent.
    orders.ping().catch(() => undefined)
    if (beats % LOOK_BEATS === 0 || faults.server !== '') await look()
    if (beats % RECHECK_BEATS === 0) await calls.recheck()
    review()
    const isOurs = await registration.announce(state, reason)
    faults.name = isOurs ? '' : 'another worker has taken its name'
    review()
  }
  const heart = setInterval(() => void beat().catch(() => undefined), BEAT_MS)

  return {
    id,
    async close() {
      faults.stopping = 'its worker is being stopped'
      review()
      await within(500, () => registration.announce(state, reason))
      const until = Date.now() + (settings.graceMs ?? GRACE_MS)
      while (slots.busy > 0 && Date.now() < until) await pause(20)
      calls.stop()
      // While Redis is away no end can be told: the locks end, and the calls count as lost.
      await within(CLOSE_MS, () => Promise.all([direct.settled(), ...workers.map((worker) => worker.close())]))
      clearInterval(heart)
      clock.close()
      await within(500, () => registration.forget())
      for (const connection of [orders, ...connections]) connection.disconnect()
      await node.backend.close()
      redis.close()
      log.info('stopped')
    },
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
