/** What of a process is counted beside its runs. Each name is a metric's; `src/telemetry/metric-table.ts` says what it means. */
export type CounterName =
  | 'caesura.runs.submitted'
  | 'caesura.http.requests'
  | 'caesura.telemetry.spans'
  | 'caesura.telemetry.pushes'
  | 'caesura.worker.calls'
  | 'caesura.worker.lock_losses'
  | 'caesura.worker.takeovers'
  | 'caesura.worker.handovers'
  | 'caesura.worker.refused_writes'
  | 'caesura.worker.dead_runs'
  | 'caesura.redis.refusals'
  | 'caesura.model_server.calls'

/** Lengths of time. */
export type TimerName = 'caesura.http.request' | 'caesura.redis.round_trip'

/** What is read when figures are wanted. */
export type GaugeName =
  | 'caesura.streams'
  | 'caesura.redis.up'
  | 'caesura.node.slots'
  | 'caesura.node.busy'
  | 'caesura.node.up'
  | 'caesura.queue.waiting'
  | 'caesura.workers.up'
  | 'caesura.runs.live'
  | 'caesura.telemetry.spans_waiting'
  | 'caesura.worker.up'
  | 'caesura.worker.slots'
  | 'caesura.worker.busy'
  | 'caesura.worker.waiting'
  | 'caesura.worker.stuck'
  | 'caesura.worker.runs'
  | 'caesura.model_server.slots'
  | 'caesura.model_server.busy'
  | 'caesura.model_server.waiting'

/** From configuration or of a few known values; never the id of a run, a tenant or a session. */
export type Labels = Readonly<Record<string, string>>

/** One value of a gauge. */
export interface Reading {
  readonly value: number
  readonly labels?: Labels
}

export type Readings = Partial<Readonly<Record<GaugeName, number | readonly Reading[]>>>

/** Figures of one process, for those who run it. Never throws, and never keeps its caller waiting. */
export interface Figures {
  /** Adds to a counter, 1 by default. 0 shows it before there was anything to count. */
  count(name: CounterName, labels?: Labels, by?: number): void
  time(name: TimerName, ms: number, labels?: Labels): void
  /** Asks `read` each time that figures are wanted; what it leaves out, or can't say, is not shown. Returns what ends this. */
  watch(read: () => Readings | Promise<Readings>): () => void
}

/** Figures that can be scraped. */
export interface ScrapedFigures extends Figures {
  /** Prometheus text. */
  text(): Promise<string>
  readonly contentType: string
}

/** Where nobody wants any. */
export const noFigures: Figures = { count: () => undefined, time: () => undefined, watch: () => () => undefined }
