import type { Readings, ScrapedFigures } from '../../core/figures.ts'
import type { FleetLoad } from '../../core/fleet.ts'

/** What the API counts. */
export interface ApiMetrics {
  submitted(pipeline: string): void
  streamOpened(format: string): void
  streamClosed(format: string): void
  /** `ms` is absent for a stream. */
  answered(request: { route: string; method: string; status: number; ms?: number }): void
  roundTrip(ms: number): void
  /** Prometheus text. */
  text(): Promise<string>
  readonly contentType: string
  /** The server has stopped. */
  close(): void
}

/** `load` says what the fleet has to do; undefined while Redis is away. */
export function apiMetrics(figures: ScrapedFigures, load: () => Promise<FleetLoad | undefined>): ApiMetrics {
  const streams = new Map<string, number>()
  const change = (format: string, by: number) => streams.set(format, (streams.get(format) ?? 0) + by)
  const ends = [
    figures.watch(() => ({
      'caesura.streams': [...streams].map(([format, value]) => ({ value, labels: { format } })),
    })),
    figures.watch(async () => readingsOf(await load())),
  ]
  return {
    contentType: figures.contentType,
    submitted: (pipeline) => figures.count('caesura.runs.submitted', { pipeline }),
    streamOpened: (format) => change(format, 1),
    streamClosed: (format) => change(format, -1),
    answered({ route, method, status, ms }) {
      figures.count('caesura.http.requests', { route, method, status: String(status) })
      if (ms !== undefined) figures.time('caesura.http.request', ms, { route })
    },
    roundTrip: (ms) => figures.time('caesura.redis.round_trip', ms),
    text: () => figures.text(),
    close() {
      for (const end of ends) end()
    },
  }
}

/** While Redis is away nothing is known of the fleet, and nothing is said of it. */
function readingsOf(load: FleetLoad | undefined): Readings {
  if (load === undefined) return { 'caesura.redis.up': 0 }
  const { nodes, queues, liveRuns, pipelineWorkers } = load
  const ofNodes = (read: (node: (typeof nodes)[number]) => number) =>
    nodes.map((node) => ({ value: read(node), labels: { node: node.name, pool: node.pool } }))
  return {
    'caesura.redis.up': 1,
    'caesura.node.slots': ofNodes(({ slots }) => slots),
    'caesura.node.busy': ofNodes(({ busy }) => busy),
    'caesura.node.up': ofNodes(({ state }) => (state === 'up' ? 1 : 0)),
    'caesura.queue.waiting': queues.map(({ queue, waiting }) => ({ value: waiting, labels: { queue } })),
    'caesura.workers.up': [
      { value: pipelineWorkers, labels: { kind: 'pipelines' } },
      { value: nodes.filter(({ state }) => state === 'up').length, labels: { kind: 'stages' } },
    ],
    'caesura.runs.live': liveRuns,
  }
}
