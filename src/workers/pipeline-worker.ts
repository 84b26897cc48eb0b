import type { Catalogue } from '../core/catalogue.ts'
import { Estimates } from '../core/estimates.ts'
import { type CounterName, type Figures, noFigures } from '../core/figures.ts'
import type { FleetAddress } from '../core/fleet.ts'
import { type Log, silentLog } from '../core/log.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Telemetry } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import { fleetClock, processOf } from './fleet-clock.ts'
import { HostSign } from './fleet-load.ts'
import type { FleetWorker } from './fleet-worker.ts'
import { GroupWriter } from './group-writer.ts'
import type { Host } from './hosted-run.ts'
import { Inbox } from './inbox.ts'
import { RUNS_QUEUE } from './keys.ts'
import { NodeDirectory } from './node-directory.ts'
import { OldRuns } from './old-runs.ts'
import { OwnedRuns } from './owned-runs.ts'
import { Ownership } from './ownership.ts'
import { openFleetRedis, tellOutages } from './redis.ts'
import { defaultRetention, type Retention } from './run-session.ts'
import { RunSweeper } from './run-sweeper.ts'
import { RunTaker } from './run-taker.ts'
import { type RunTicket, TicketQueues } from './ticket-queues.ts'
import { TicketWorker } from './ticket-worker.ts'
import { UntoldRuns } from './untold-runs.ts'
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
  /** What Redis keeps of the record of a run that has ended; all of it by default. */
  asKept?(record: RunRecord): RunRecord
  /** Hears what an operator should know; silent by default. */
  readonly log?: Log
}

/** A run whose owner died is taken up by another one after 1 to 1.5 s: its lock must have ended, and two looks have seen that. */
const LOCK_MS = 1000
const STALLED_MS = 250
/** How long handing over may take, ms. */
const CLOSE_MS = 3000

/** Hosts runs: their machines live here, their state in Redis. Throws `CAESURA_E_REDIS`. */
export async function startPipelineWorker(settings: PipelineWorkerSettings): Promise<PipelineWorker> {
  const redis = await openFleetRedis(settings.redis)
  const inbox = new Inbox(redis)
  const directory = new NodeDirectory(redis)
  const clock = await fleetClock(redis)
  await Promise.all([inbox.open(), directory.open()])
  const host: Host = {
    ...{ redis, clock, directory, catalogue: settings.catalogue, inbox: inbox.id },
    ...{ estimates: new Estimates(), random: Math.random },
    nodeNames: () => new Set(directory.nodes.map(({ name }) => name)),
    group: new GroupWriter(redis, 'appendAll'),
    tickets: new TicketQueues(redis),
    retention: { ...defaultRetention, ...settings.retention },
    process: () => processOf(settings.service ?? 'caesura-pipelines', inbox.id, clock),
    ...present({ telemetry: settings.telemetry, asKept: settings.asKept }),
  }
  const worker = new PipelineWorker(settings, host, inbox)
  await worker.start()
  return worker
}

/** A worker that hosts runs: what goes on in it beside the runs, and how it ends. */
export class PipelineWorker implements FleetWorker {
  readonly id: string
  readonly #host: Host
  readonly #inbox: Inbox
  readonly #log: Log
  readonly #figures: Figures
  readonly #owned: OwnedRuns
  readonly #untold: UntoldRuns
  readonly #taker: RunTaker
  readonly #tickets: TicketWorker<RunTicket>
  readonly #sign: HostSign
  /** What looks now and then whether all is as it should be. */
  #watches: readonly { close(): void }[] = []

  constructor(settings: PipelineWorkerSettings, host: Host, inbox: Inbox) {
    const { redis, clock, telemetry } = host
    this.id = inbox.id
    this.#host = host
    this.#inbox = inbox
    this.#log = (settings.log ?? silentLog).child({ worker: inbox.id })
    this.#figures = settings.figures ?? noFigures
    tellOutages(redis, this.#log, settings.figures)
    this.#owned = new OwnedRuns(host, inbox)
    this.#untold = new UntoldRuns(redis, clock.wall, telemetry)
    const [log, figures] = [this.#log, this.#figures]
    this.#taker = new RunTaker({
      ...{ host, owned: this.#owned, untold: this.#untold, figures, log },
      ...present({ keep: settings.keep?.bind(settings) }),
    })
    this.#tickets = new TicketWorker<RunTicket>({
      ...{ redis, queue: RUNS_QUEUE, lockMs: LOCK_MS, stalledMs: STALLED_MS, figures, log },
      concurrency: settings.runs ?? 500,
      take: (ticket) => this.#taker.take(ticket),
      dead: () => figures.count('caesura.worker.dead_runs'),
    })
    this.#sign = new HostSign(redis, inbox.id)
  }

  /** Resolves when it takes up runs. */
  async start(): Promise<void> {
    const { redis, tickets, clock, telemetry, retention } = this.#host
    await this.#tickets.ready()
    this.#watches = [
      new Ownership(redis, this.#owned.all),
      new RunSweeper(redis, tickets, clock.wall, telemetry && this.#untold),
      new OldRuns(redis, retention.keepMs),
    ]
    await this.#sign.give()
    for (const name of hostCounters) this.#figures.count(name, {}, 0)
    this.#figures.watch(() => ({ 'caesura.worker.runs': this.#owned.size }))
  }

  /** Takes up no more runs. Resolves when those that it hosts have ended, or once `signal` is aborted: `close` hands over what is left. */
  async drain(signal?: AbortSignal): Promise<void> {
    const { size } = this.#owned
    this.#log.info(`draining: takes up no more runs, waits for ${size} to end`, { runs: size })
    this.#taker.drain()
    // Nothing more is fetched; locks are kept, and what ends is told as before.
    await Promise.all([this.#tickets.pause(), this.#sign.close().catch(() => undefined)])
    await this.#tickets.drained(signal)
  }

  async close(): Promise<void> {
    const { size } = this.#owned
    this.#log.info(`stopping: ${size} ${size === 1 ? 'run goes' : 'runs go'} to other workers`, { runs: size })
    this.#taker.stop()
    for (const watch of [...this.#watches, this.#host.directory, this.#host.clock]) watch.close()
    const runs = this.#owned.all
    // While Redis is away nothing can be handed over: the locks end, and other workers take the runs up.
    await within(CLOSE_MS, async () => {
      await this.#tickets.pause()
      await Promise.all([...runs.values()].map((run) => run.handOver()))
      await this.#tickets.close()
    })
    for (const run of runs.values()) run.leave('this worker stops')
    // Before Redis goes: what has arrived is not to be sent again.
    await this.#host.telemetry?.close()
    this.#inbox.close()
    await within(CLOSE_MS, () => Promise.all([this.#host.tickets.close(), this.#sign.close()]))
    this.#tickets.disconnect()
    this.#host.redis.close()
    this.#log.info('stopped')
  }
}

/** Shown as 0 until there is something to count. */
const hostCounters: readonly CounterName[] = [
  'caesura.worker.takeovers',
  'caesura.worker.handovers',
  'caesura.worker.refused_writes',
  'caesura.worker.dead_runs',
  'caesura.worker.lock_losses',
]
