import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { FleetNode } from '../../core/fleet.ts'

/** What the API counts. Every name begins with `caesura_`; times are seconds, as Prometheus has it. */
export interface ApiMetrics {
  submitted(pipeline: string): void
  streamOpened(format: string): void
  streamClosed(format: string): void
  /** `ms` is absent for a stream. */
  answered(request: { route: string; method: string; status: number; ms?: number }): void
  roundTrip(ms: number): void
  /** Prometheus text. `nodes` is absent while Redis is away. */
  text(nodes: readonly FleetNode[] | undefined): Promise<string>
  readonly contentType: string
}

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const REDIS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5]

export function apiMetrics(): ApiMetrics {
  const registers = [new Registry()] as [Registry]
  const [registry] = registers
  const submitted = new Counter({
    name: 'caesura_runs_submitted_total',
    help: 'Runs that this server submitted.',
    labelNames: ['pipeline'],
    registers,
  })
  const streams = new Gauge({
    name: 'caesura_streams',
    help: 'Event streams that are open.',
    labelNames: ['format'],
    registers,
  })
  const requests = new Counter({
    name: 'caesura_http_requests_total',
    help: 'Requests answered.',
    labelNames: ['route', 'method', 'status'],
    registers,
  })
  const seconds = new Histogram({
    name: 'caesura_http_request_seconds',
    help: 'From a request to the end of its answer; streams are left out.',
    labelNames: ['route'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const redisSeconds = new Histogram({
    name: 'caesura_redis_round_trip_seconds',
    help: 'PING to PONG.',
    buckets: REDIS_SECONDS,
    registers,
  })
  const redisUp = new Gauge({ name: 'caesura_redis_up', help: '1 while Redis answers.', registers })
  const labelNames = ['node', 'pool'] as const
  const slots = new Gauge({ name: 'caesura_node_slots', help: 'Calls at once.', labelNames, registers })
  const busy = new Gauge({ name: 'caesura_node_busy', help: 'Calls that run.', labelNames, registers })
  const up = new Gauge({ name: 'caesura_node_up', help: '1 while the node takes calls.', labelNames, registers })

  return {
    contentType: registry.contentType,
    submitted: (pipeline) => submitted.inc({ pipeline }),
    streamOpened: (format) => streams.inc({ format }),
    streamClosed: (format) => streams.dec({ format }),
    answered({ route, method, status, ms }) {
      requests.inc({ route, method, status })
      if (ms !== undefined) seconds.observe({ route }, ms / 1000)
    },
    roundTrip: (ms) => redisSeconds.observe(ms / 1000),
    text(nodes) {
      redisUp.set(nodes === undefined ? 0 : 1)
      // A node that has gone is not to be shown as it was.
      for (const gauge of [slots, busy, up]) gauge.reset()
      for (const { name: node, pool, state, ...counts } of nodes ?? []) {
        slots.set({ node, pool }, counts.slots)
        busy.set({ node, pool }, counts.busy)
        up.set({ node, pool }, state === 'up' ? 1 : 0)
      }
      return registry.metrics()
    },
  }
}
