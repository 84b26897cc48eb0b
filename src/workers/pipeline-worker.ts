import { DelayedError, type Job, WaitingError, Worker } from 'bullmq'
import type { Catalogue } from '../core/catalogue.ts'
import { CaesuraError } from '../core/errors.ts'
import { Estimates } from '../core/estimates.ts'
import { type CounterName, type Figures, noFigures } from '../core/figures.ts'
import type { FleetAddress } from '../core/fleet.ts'
import { type Log, silentLog } from '../core/log.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Telemetry } from '../core/ports.ts'
import type { RunRecord } from '../core/record.ts'
import { tellEnd } from '../core/run-line.ts'
import type { AnswerOf } from './commands.ts'
import { connect } from './connection.ts'
import { putAside, putRunAside } from './dead.ts'
import { fleetClock, processOf } from './fleet-clock.ts'
import { HostSign } from './fleet-load.ts'
import { GroupWriter } from './group-writer.ts'
import { type Host, OwnedRun } from './hosted-run.ts'
import { Inbox } from './inbox.ts'
import { Intake } from './intake.ts'
import { RUNS_QUEUE } from './keys.ts'
import { NodeDirectory } from './node-directory.ts'
import { OldRuns } from './old-runs.ts'
import { Ownership } from './ownership.ts'
import { openFleetRedis, tellOutages } from './redis.ts'
import { tellFaults } from './run-lines.ts'
import { defaultRetention, type Retention } from './run-session.ts'
import { OtherVersion } from './run-spec.ts'
import { RunSweeper } from './run-sweeper.ts'
import { Suspects } from './suspects.ts'
import { type RunTicket, readRunTicket, TicketQueues } from './ticket-queues.ts'
import { UntoldRuns } from './untold-runs.ts'
import { asNews, signalSchema, unreadable } from './wire.ts'
import { within } from './within.ts'

export interface PipelineWorkerSettings {
  readonly redis: FleetAddress
  readonly catalogue: Catalogue
  /** Runs at once; 500 by default. */
  readonly runs?: number
  readonly retention?: Partial<Retention>
  /** Makes spans and figures of the runs that end here; none by default. Closed with the worker. */
  readonly telemetry?: Telemetry
  /** By which records and spans name this process; `caesura-pipelines` by default. */
  readonly service?: string
  /** What of this worker is counted; nothing by default. */
  readonly figures?: Figures
  /** Called with the record of each run that ends here, and its pipeline. What it throws is told to the log. */
  keep?(record: RunRecord, pipeline: Pipeline): void
  /** Hears what an operator should know; silent by default. */
  readonly log?: Log
}

export interface FleetWorker {
  /** Of this worker, as the runs that it owns or the node that it serves name it. */
  readonly id: string
  /** Takes nothing new, hands over or finishes what it has, and ends. */
  close(): Promise<void>
}

export interface PipelineWorker extends FleetWorker {
  /** Takes up no more runs. Resolves when those that it hosts have ended, or once `signal` is aborted: `close` hands over what is left. */
  drain(signal?: AbortSignal): Promise<void>
}

/** A run whose owner died is taken up by another one after 1 to 1.5 s: its lock must have ended, and two looks have seen that. */
const LOCK_MS = 1000
const STALLED_MS = 250
/**
 * So many owners in a row that died before the run got on make it a suspect, which is taken up alone; so many make it what they died of, and
 * it is put aside. Owners that left it, or came back, do not count.
 */
const SUSPECT_CRASHES = 3
const MOST_CRASHES = 6
/** After so long a run of another version is looked at again, ms: by another worker, if there is one. */
const OTHERS_MS = 1000
/** How many events may wait to be written before more news are taken in. */
const MOST_BACKLOG = 20_000
/** It is counted each time that so many characters have come. */
const PACE_CHARACTERS = 65_536
/** How long handing over may take, ms. */
const CLOSE_MS = 3000

/** Hosts runs: their machines live here, their state in Redis. Throws `CAESURA_E_REDIS`. */
export async function startPipelineWorker(settings: PipelineWorkerSettings): Promise<PipelineWorker> {
  const redis = await openFleetRedis(settings.redis)
  const inbox = new Inbox(redis)
  const directory = new NodeDirectory(redis)
  const tickets = new TicketQueues(redis)
  const clock = await fleetClock(redis)
  await Promise.all([inbox.open(), directory.open()])
  const host: Host = {
    redis,
    group: new GroupWriter(redis, 'appendAll'),
    clock,
    directory,
    tickets,
    estimates: new Estimates(),
    catalogue: settings.catalogue,
    retention: { ...defaultRetention, ...settings.retention },
    inbox: inbox.id,
    process: () => processOf(settings.service ?? 'caesura-pipelines', inbox.id, clock),
    ...(settings.telemetry !== undefined && { telemetry: settings.telemetry }),
  }
  const { figures = noFigures } = settings
  const log = (settings.log ?? silentLog).child({ worker: inbox.id })
  tellOutages(redis, log, settings.figures)
  const untold = new UntoldRuns(redis, clock.wall, settings.telemetry)
  const owned = new Map<string, OwnedRun>()
  const suspects = new Suspects()
  const intake = new Intake(redis)
  /** Runs of other versions that were told of. */
  const told = new Set<string>()
  let stopping = false
  /** New runs are for other workers. */
  let draining = false
  /** Jobs that are here, and who waits for the last of them. */
  let jobs = 0
  let drained: () => void = () => undefined

  /** Runs that are being taken up, and whether something came for them meanwhile: what Redis sent may be here before its answer is. */
  const opening = new Map<string, boolean>()
  const ownerOf = (runId: unknown): OwnedRun | undefined => {
    const run = owned.get(runId as string)
    if (run === undefined && opening.has(runId as string)) opening.set(runId as string, true)
    return run
  }

  inbox.on('news', (runId, callId, index, batch) => {
    if (Number.isInteger(index)) ownerOf(runId)?.news(String(callId), index as number, asNews(batch))
  })
  inbox.on('signal', (runId, number, payload) => {
    const signal = signalSchema.safeParse(payload)
    if (signal.success && Number.isInteger(number)) ownerOf(runId)?.signal(number as number, signal.data)
  })
  inbox.on('declined', (runId, callId) => owned.get(runId as string)?.declined(String(callId)))
  const look = (runId: unknown) => {
    owned
      .get(runId as string)
      ?.look()
      .catch(() => undefined)
  }
  inbox.on('gone', look)
  inbox.on('look', look)
  inbox.on('delivered', (runs) => {
    for (const [runId, seq] of Object.entries(runs ?? {})) if (Number.isInteger(seq)) owned.get(runId)?.delivered(seq)
  })
  inbox.onGap(() => {
    for (const run of owned.values()) run.catchUp().catch(() => undefined)
  })
  let came = 0
  inbox.pace = (characters) => {
    came += characters
    if (came < PACE_CHARACTERS) return undefined
    came = 0
    let backlog = 0
    for (const run of owned.values()) backlog += run.session.backlog
    return backlog > MOST_BACKLOG ? host.group.idle() : undefined
  }
  directory.onRefresh(() => {
    for (const run of owned.values()) run.review()
  })

  async function own(job: Job<RunTicket>, token: string | undefined, signal: AbortSignal | undefined) {
    // A fetch that was under way when this worker was paused brings one more job.
    if (stopping || draining) return handBack(job, token)
    const { runId, base } = readRunTicket(job.data)
    const epoch = base + job.attemptsStarted
    // What another owner began is in Redis already.
    if (epoch === 1) await intake.room(runId, signal)
    if (stopping || draining) return handBack(job, token)
    opening.set(runId, false)
    let run: OwnedRun
    let hasMissed: boolean
    try {
      const claimed = await claim(runId, epoch)
      if (claimed[0] === 'deadly') throw deadly(runId, claimed[1])
      if (claimed[0] === 'broken') throw unreadable(`${claimed[1]} of the run ${runId}`)
      if (claimed[0] !== 'ok') return { runId, outcome: claimed[0] }
      const [, fields, signals] = claimed
      run = await OwnedRun.open(host, runId, epoch, fieldsOf(fields))
      owned.set(runId, run)
      hasMissed = epoch > 1 || signals > 0 || opening.get(runId) === true
    } catch (error) {
      if (stopping) return handBack(job, token)
      if (error instanceof OtherVersion) return leaveToOthers(job, token, error)
      // Whatever it is, it would be the same for the next owner.
      const fault = error instanceof CaesuraError ? error : unusable(runId, error)
      await bury(runId, fault)
      return { runId, outcome: 'dead' }
    } finally {
      opening.delete(runId)
    }
    if (epoch > 1) {
      figures.count('caesura.worker.takeovers')
      log.info(`run ${runId} taken over`, { ...run.correlation, owner: epoch })
    } else if (log.has('debug')) log.debug(`run ${runId} claimed`, run.correlation)
    let hasLock = true
    const lost = () => {
      hasLock = false
      run.leave('the lock of its job is lost')
    }
    signal?.addEventListener('abort', lost, { once: true })
    try {
      // What came in between is in the inbox only for a run that was ours already.
      if (hasMissed) await run.catchUp()
      const end = await run.session.end
      if ('record' in end) {
        settings.telemetry?.runEnded(end.record, () => untold.told(runId))
        tellEnd(log, end.record, run.input)
        keep(end.record, run)
        return { runId, outcome: end.record.outcome }
      }
      run.leave(end.lost)
      if (end.isBroken && !stopping) {
        await bury(runId, new CaesuraError('CAESURA_E_STATE', end.lost), run)
        return { runId, outcome: 'dead' }
      }
      if (!stopping) {
        // It did not die of the run: that it has another owner says nothing against it.
        await run.release()
        if (hasLock) figures.count('caesura.worker.refused_writes')
        log.warn(`run ${runId}: ${end.lost}`, run.correlation)
        return { runId, outcome: 'lost' }
      }
      figures.count('caesura.worker.handovers')
      if (log.has('debug')) log.debug(`run ${runId} handed back`, run.correlation)
      return await handBack(job, token)
    } finally {
      signal?.removeEventListener('abort', lost)
      // The same run may have come back to this process under a newer epoch.
      if (owned.get(runId) === run) owned.delete(runId)
    }
  }

  /** The run has ended and is safe in Redis: a file that can't be written is no reason to lose anything else. */
  function keep(record: RunRecord, { pipeline, correlation }: OwnedRun): void {
    try {
      settings.keep?.(record, pipeline)
    } catch (fault) {
      const error = fault as Error
      log.error(`run ${record.runId} is not in the records file: ${error.message}`, { ...correlation, error })
    }
  }

  /** Where the ticket is not ours any more, somebody else has it. */
  async function handBack(job: Job<RunTicket>, token: string | undefined): Promise<never> {
    await redis.refusals.waitOut(() => job.moveToWait(token)).catch(() => undefined)
    throw new WaitingError()
  }

  /** A run of another version waits for a worker of that version. */
  async function leaveToOthers(job: Job<RunTicket>, token: string | undefined, error: OtherVersion): Promise<never> {
    const { runId, base } = job.data
    if (!told.has(runId)) log.warn(`run ${runId} is left to others: ${error.message}`, { run_id: runId })
    told.add(runId)
    await redis.call('releaseRun', runId, base + job.attemptsStarted, inbox.id, '1')
    await redis.refusals.waitOut(() => job.moveToDelayed(Date.now() + OTHERS_MS, token)).catch(() => undefined)
    throw new DelayedError()
  }

  /** A suspect waits for its turn. */
  async function claim(runId: string, epoch: number): Promise<AnswerOf<'claimRun'>> {
    const first = await redis.call('claimRun', runId, epoch, inbox.id, SUSPECT_CRASHES, MOST_CRASHES, '0')
    if (first[0] !== 'suspect') return first
    log.warn(`run ${runId} is taken up alone: ${first[1]} owners in a row died before it got on`, { run_id: runId })
    await suspects.turn()
    return redis.call('claimRun', runId, epoch, inbox.id, SUSPECT_CRASHES, MOST_CRASHES, '1')
  }

  async function bury(runId: string, error: CaesuraError, run?: OwnedRun): Promise<void> {
    const { keepMs, keepMost } = host.retention
    const owner = run && { epoch: run.session.epoch, startedAt: run.startedAt }
    if (!(await putRunAside(redis, { runId, error, keepMs, keepMost, ...owner }))) return
    figures.count('caesura.worker.dead_runs')
    log.error(`run ${runId}: ${error.message}`, { run_id: runId, code: error.code })
  }

  async function take(job: Job, token: string | undefined, signal: AbortSignal | undefined) {
    jobs += 1
    try {
      return await own(job, token, signal)
    } catch (error) {
      if (!(error instanceof CaesuraError) || error.code !== 'CAESURA_E_STATE') throw error
      await putAside(redis, { job: job.data }, error)
      figures.count('caesura.worker.dead_runs')
      log.error(`a job is put aside: ${error.message}`, { job: String(job.id), code: error.code })
      return { outcome: 'dead' }
    } finally {
      intake.left(job.data?.runId)
      jobs -= 1
      if (jobs === 0) drained()
    }
  }

  const connection = connect(settings.redis)
  // BullMQ hands the signal over only to a function with three parameters.
  const worker = new Worker<RunTicket>(RUNS_QUEUE, (job, token, signal) => take(job, token, signal), {
    connection,
    prefix: redis.keys.prefix,
    concurrency: settings.runs ?? 500,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_MS,
    // How often a run may change hands is not BullMQ's to bound.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    runRetryDelay: 250,
    drainDelay: 2,
    skipVersionCheck: true,
  })
  tellFaults(worker, log)
  worker.on('lockRenewalFailed', (ids) => {
    figures.count('caesura.worker.lock_losses', {}, ids.length)
    for (const id of ids) worker.cancelJob(id, 'its lock is lost')
  })
  await worker.waitUntilReady()
  const ownership = new Ownership(redis, owned)
  const sweeper = new RunSweeper(redis, tickets, clock.wall, settings.telemetry && untold)
  const old = new OldRuns(redis, host.retention.keepMs)
  const sign = new HostSign(redis, inbox.id)
  await sign.give()
  for (const name of hostCounters) figures.count(name, {}, 0)
  figures.watch(() => ({ 'caesura.worker.runs': owned.size }))

  return {
    id: inbox.id,
    async drain(signal) {
      draining = true
      log.info(`draining: takes up no more runs, waits for ${owned.size} to end`, { runs: owned.size })
      intake.close()
      // Nothing more is fetched; locks are kept, and what ends is told as before.
      await Promise.all([worker.pause(true), sign.close().catch(() => undefined)])
      if (jobs === 0 || signal?.aborted) return
      await new Promise<void>((resolve) => {
        drained = resolve
        signal?.addEventListener('abort', () => resolve(), { once: true })
      })
    },
    async close() {
      stopping = true
      ownership.close()
      log.info(`stopping: ${owned.size} ${owned.size === 1 ? 'run goes' : 'runs go'} to other workers`, {
        runs: owned.size,
      })
      intake.close()
      sweeper.close()
      old.close()
      directory.close()
      clock.close()
      // While Redis is away nothing can be handed over: the locks end, and other workers take the runs up.
      await within(CLOSE_MS, async () => {
        await worker.pause(true)
        await Promise.all([...owned.values()].map((run) => run.handOver()))
        await worker.close()
      })
      for (const run of owned.values()) run.leave('this worker stops')
      // Before Redis goes: what has arrived is not to be sent again.
      await settings.telemetry?.close()
      inbox.close()
      await within(CLOSE_MS, () => Promise.all([tickets.close(), sign.close()]))
      connection.disconnect()
      redis.close()
      log.info('stopped')
    },
  }
}

const deadly = (runId: string, crashes: number): CaesuraError =>
  new CaesuraError('CAESURA_E_STATE', `${crashes} workers in a row died when they took up the run ${runId}`)

const unusable = (runId: string, cause: unknown): CaesuraError =>
  new CaesuraError('CAESURA_E_STATE', `the run ${runId} can't be taken up: ${(cause as Error).message}`, { cause })

/** Shown as 0 until there is something to count. */
const hostCounters: readonly CounterName[] = [
  'caesura.worker.takeovers',
  'caesura.worker.handovers',
  'caesura.worker.refused_writes',
  'caesura.worker.dead_runs',
  'caesura.worker.lock_losses',
]

const fieldsOf = (flat: readonly string[]): Record<string, string> => {
  const fields: Record<string, string> = {}
  for (let index = 0; index + 1 < flat.length; index += 2) fields[flat[index]!] = flat[index + 1]!
  return fields
}
