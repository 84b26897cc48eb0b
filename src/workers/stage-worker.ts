import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type Job, WaitingError, Worker } from 'bullmq'
import { CaesuraError } from '../core/errors.ts'
import type { FleetNode } from '../core/fleet.ts'
import type { Node } from '../core/ports.ts'
import { fleetClock } from './fleet-clock.ts'
import { nodeQueue, poolQueue } from './keys.ts'
import type { FleetWorker } from './pipeline-worker.ts'
import { connect, type FleetAddress, openFleetRedis } from './redis.ts'
import { Slots } from './slots.ts'
import { StageCalls } from './stage-calls.ts'
import type { CallTicket } from './ticket-queues.ts'

export interface StageWorkerSettings {
  readonly redis: FleetAddress
  readonly node: Node
  /** Of this software, for `caesura nodes`. */
  readonly version: string
  /** How long calls may go on after a stop, ms; 10,000 by default. */
  readonly graceMs?: number
  /** Calls that may begin in a time, over all of the pool's tickets; no limit by default. */
  readonly rate?: { readonly calls: number; readonly ms: number }
  /** Hears what an operator should know. */
  log?(line: string): void
}

/** A call whose worker died is taken from it after 1.5 to 2.5 s. */
const LOCK_MS = 1500
const STALLED_MS = 750
/** How long a node is known after its worker's last sign of life, ms; it gives one three times as often. */
const ALIVE_MS = 3000
const GRACE_MS = 10_000
const MODELS_MS = 3000

/** Serves one node: makes the calls that wait for its pool or for itself. Throws `CAESURA_E_REDIS`, `CAESURA_E_NODE_TAKEN`. */
export async function startStageWorker(settings: StageWorkerSettings): Promise<FleetWorker> {
  const { node, log = () => undefined } = settings
  const redis = await openFleetRedis(settings.redis)
  const { keys } = redis
  const clock = await fleetClock(redis)
  const id = randomUUID()
  const slots = new Slots(node.slots)
  const calls = new StageCalls(redis, clock, node, id)
  const own: { state: FleetNode['state']; reason: string; models: readonly string[] } = {
    state: 'up',
    reason: '',
    models: [],
  }

  /** `instead`: a worker that is known to be dead. */
  async function announce(instead = ''): Promise<[string, ...unknown[]]> {
    const { backend, pool } = node
    return redis.call(
      'registerNode',
      node.name,
      id,
      ALIVE_MS,
      instead,
      ...Object.entries({
        host: hostname(),
        pid: process.pid,
        pool,
        backend: backend.kind,
        address: backend.address ?? '',
        slots: slots.size,
        busy: slots.busy,
        models: (node.models ?? own.models).join('\n'),
        version: settings.version,
        state: own.state,
        reason: own.reason,
        seen: Math.floor(clock.wall()),
      }).flat(),
    )
  }

  /** Whether the server answers, and what it can run. A node whose server does not answer takes no calls. */
  async function look(): Promise<void> {
    try {
      own.models = (await node.backend.models(AbortSignal.timeout(MODELS_MS))).map(({ name }) => name)
      if (own.state === 'down') setState('up', '')
    } catch (error) {
      if (own.state === 'up') setState('down', error instanceof Error ? error.message : String(error))
    }
  }

  function setState(next: FleetNode['state'], why: string): void {
    own.state = next
    own.reason = why
    log(`node ${node.name}: ${next}${why === '' ? '' : `: ${why}`}`)
    for (const worker of workers) {
      if (next === 'up') worker.resume()
      else void worker.pause(true)
    }
  }

  const workers: Worker<CallTicket>[] = []
  await look()
  await register()

  /** The name may be a dead worker's, for as long as it is remembered. */
  async function register(): Promise<void> {
    const until = Date.now() + ALIVE_MS + 500
    for (;;) {
      const [answer, worker, host, pid] = await announce()
      if (answer === 'ok') return
      // On this machine it can be seen whether that worker is still there.
      if (host === hostname() && !isAlive(Number(pid)) && (await announce(String(worker)))[0] === 'ok') return
      if (Date.now() > until) {
        redis.close()
        throw new CaesuraError('CAESURA_E_NODE_TAKEN', `another worker serves a node named ${node.name}`, {
          received: node.name,
          hint: 'Give this one another name: --node NAME.',
        })
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  async function take(job: Job<CallTicket>, token: string | undefined, lost: AbortSignal | undefined, queue: string) {
    const isPinned = queue === nodeQueue(node.name)
    // A ticket of the pool that finds no slot here goes back: another node may have one.
    if (isPinned ? !(await slots.take(lost ?? new AbortController().signal)) : !slots.tryTake()) {
      await handBack(job, token, queue)
      throw new WaitingError()
    }
    try {
      const outcome = await calls.run(job.data, queue, `${id} ${job.id} ${job.attemptsStarted}`, lost)
      return { ...job.data, outcome }
    } finally {
      slots.release()
      for (const worker of workers) if (own.state === 'up' && worker.isPaused()) worker.resume()
    }
  }

  async function handBack(job: Job<CallTicket>, token: string | undefined, queue: string): Promise<void> {
    for (const worker of workers) if (worker.name === queue) void worker.pause(true)
    await job.moveToWait(token)
  }

  const cancels = connect(settings.redis)
  await cancels.connect()
  await cancels.subscribe(keys.cancels(id))
  cancels.on('message', (_channel: string, message: string) => {
    const [runId = '', callId = ''] = message.split(' ')
    calls.cancel(runId, callId, 'interrupted')
  })
  // What was published while the connection was gone is lost; the flags are not.
  cancels.on('ready', () => void calls.recheck().catch(() => undefined))

  for (const queue of [nodeQueue(node.name), poolQueue(node.pool)]) {
    const worker = new Worker<CallTicket>(queue, (job, token, signal) => take(job, token, signal, queue), {
      connection: connect(settings.redis),
      prefix: keys.prefix,
      concurrency: node.slots,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_MS,
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      runRetryDelay: 250,
      drainDelay: 2,
      skipVersionCheck: true,
      ...(settings.rate !== undefined && { limiter: { max: settings.rate.calls, duration: settings.rate.ms } }),
    })
    worker.on('error', () => undefined)
    worker.on('lockRenewalFailed', (ids) => {
      for (const job of ids) worker.cancelJob(job, 'its lock is lost')
    })
    workers.push(worker)
  }
  await Promise.all(workers.map((worker) => worker.waitUntilReady()))
  if (own.state === 'down') setState('down', own.reason)
  let beats = 0
  const heart = setInterval(() => {
    beats += 1
    void (async () => {
      if (beats % 3 === 0) await look()
      if (beats % 2 === 0) await calls.recheck()
      const [answer] = await announce()
      if (answer !== 'ok' && own.state === 'up') setState('down', 'another worker has taken its name')
    })().catch(() => undefined)
  }, ALIVE_MS / 3)

  return {
    id,
    async close() {
      setState('stopping', 'its worker is being stopped')
      await announce().catch(() => undefined)
      const until = Date.now() + (settings.graceMs ?? GRACE_MS)
      while (slots.busy > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
      calls.stop()
      await Promise.all(workers.map((worker) => worker.close()))
      clearInterval(heart)
      await redis.call('forgetNode', node.name, id).catch(() => undefined)
      cancels.disconnect()
      await node.backend.close()
      redis.close()
    },
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
