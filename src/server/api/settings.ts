import type { FastifyRequest } from 'fastify'
import type { ScrapedFigures } from '../../core/figures.ts'
import type { Log } from '../../core/log.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { IncomingRequest, RequestTrace } from '../../core/ports.ts'
import type { RunRecord } from '../../core/record.ts'
import type { RunHost } from '../../core/run-host.ts'
import type { JsonSchema } from '../../policies/reading/policy-json-schema.ts'
import type { Caller } from './access.ts'
import type { StreamConnections } from './connections.ts'
import type { ApiMetrics } from './metrics.ts'
import type { Token } from './tokens.ts'

export interface ApiSettings {
  /** Who hosts them. Not closed with the server. */
  readonly runs: RunHost
  /** By name. */
  readonly pipelines: ReadonlyMap<string, Pipeline>
  /** Checks a pipeline that a request brings along; absent: requests may only name one. Throws `CaesuraErrors`. */
  define?(value: unknown): Pipeline
  /** Of such a pipeline. */
  readonly pipelineJsonSchema?: JsonSchema
  /** Alias → the model's name as the servers know it. */
  readonly models?: Readonly<Record<string, string>>
  /** Without any everybody is served, and `host` has to be loopback. A bare one may do everything. */
  readonly tokens?: readonly (Token | string)[]
  /** What a token that may only read is shown of a record; absent where texts are kept, and it sees them too. */
  withoutText?(record: RunRecord): RunRecord
  /** 127.0.0.1 by default. */
  readonly host?: string
  /** 0 for a free one. */
  readonly port: number
  /** The largest body; 1 MiB by default. */
  readonly bodyBytes?: number
  /** Requests a second of one token, or of one address; 100 by default, 0 for any number. */
  readonly rate?: number
  /** Origins whose pages may read answers; none by default. */
  readonly cors?: readonly string[]
  /** Of a request that starts a run: the trace for it, and whom to tell when it is answered. */
  openRequest?(request: IncomingRequest): RequestTrace
  /** Where it counts; they are what `/metrics` shows. */
  readonly figures: ScrapedFigures
  readonly version: string
  readonly times?: Partial<ApiTimes>
  /** Hears of faults, and of what an operator should know; silent by default. */
  readonly log?: Log
}

/** ms each. */
export interface ApiTimes {
  /** Between two signs of life on a stream; 15 s by default. */
  readonly heartbeatMs: number
  /** A client of a stream that takes nothing for so long is cut off; 30 s by default. */
  readonly stallMs: number
  /** How long an interrupt waits for what is decided; 5 s by default. */
  readonly decisionMs: number
  /** A request that takes longer to arrive is refused; 30 s by default. */
  readonly arrivalMs: number
}

export const defaultTimes: ApiTimes = { heartbeatMs: 15_000, stallMs: 30_000, decisionMs: 5000, arrivalMs: 30_000 }

/** What the routes share. */
export interface ApiContext {
  readonly settings: ApiSettings
  readonly runs: RunHost
  readonly metrics: ApiMetrics
  readonly times: ApiTimes
  /** Aborted when the server stops. */
  readonly closing: AbortSignal
  callerOf(request: FastifyRequest): Caller
  readonly streams: StreamConnections
}
