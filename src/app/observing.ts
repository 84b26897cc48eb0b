import { hostname } from 'node:os'
import { emitWarning, pid } from 'node:process'
import type { Environment } from '../core/environment.ts'
import type { ScrapedFigures } from '../core/figures.ts'
import type { IncomingRequest, RequestTrace, Telemetry } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import type { TraceContext } from '../core/trace.ts'
import { serveMetrics } from '../server/metrics-server.ts'
import { version } from './version.ts'

/** Part of the composition root: spans and figures of a process, as its environment asks for them. */

export interface Observing extends Telemetry {
  /** Where a person looks at a trace; undefined where that is not known. */
  traceLink(traceId: string): string | undefined
  /** A request to this process that is part of its caller's trace, or begins one. */
  openRequest(request: IncomingRequest): RequestTrace
  /** Absent where nobody wants them. */
  readonly figures?: ScrapedFigures
  /** Where figures are scraped, where `metrics` asked for it. */
  readonly metricsUrl?: string
}

export interface ObservedProcess {
  /** By which spans name it where `OTEL_SERVICE_NAME` does not, such as `caesura-serve`. */
  readonly service: string
  /** Hears what an operator should know: what of the environment can't be used, that spans can't be sent. A warning of Node by default. */
  readonly log?: (line: string) => void
  /** How long a collector may take for a request, ms; for a process whose end waits for it. */
  readonly answerMs?: number
  /** Serves the process's figures there; 0 takes a free port. By default nothing listens. */
  readonly metrics?: { readonly host: string; readonly port: number }
  /** Whether figures are scraped from this process in another way. */
  readonly isScraped?: boolean
}

const ENDPOINTS = [
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
]

/**
 * Telemetry to where OpenTelemetry's variables of the environment say (docs/telemetry.md); undefined where they name no endpoint
 * and no figures are to be served. Only who asks for it pays for loading it (docs/telemetry.md#cost). Throws `CAESURA_E_LISTEN`. Nothing is
 * set up for the rest of the program: that is the program's own to do, by OpenTelemetry's SDK.
 */
export const observe = (environment: Environment, place: ObservedProcess): Promise<Observing | undefined> =>
  open(environment, place, false)

/** The same for a process of the command line, in which OpenTelemetry's SDK is set up for whatever instrumentation there is. */
export const observeCommand = (environment: Environment, place: ObservedProcess): Promise<Observing | undefined> =>
  open(environment, place, true)

async function open(
  environment: Environment,
  { log = (line) => emitWarning(line), metrics, isScraped = false, ...place }: ObservedProcess,
  setsUp: boolean,
): Promise<Observing | undefined> {
  if (metrics === undefined && ENDPOINTS.every((name) => !environment[name]?.trim())) return undefined
  const [{ telemetrySettings }, { openTelemetry }] = await Promise.all([
    import('../telemetry/settings.ts'),
    import('../telemetry/telemetry.ts'),
  ])
  const settings = telemetrySettings(environment)
  for (const warning of settings.warnings) log(warning)
  const { process, begin, runEnded, sendAgain, openRequest, figures, close } = await openTelemetry(settings, {
    ...place,
    log,
    setsUp,
    instance: instanceName(),
    version,
    isScraped: isScraped || metrics !== undefined,
  })
  const { jaegerUrl } = settings
  let closed: Promise<void> | undefined
  const server = metrics && figures && (await serveMetrics({ ...metrics, figures }))
  return {
    ...{ process, begin, runEnded, sendAgain, openRequest },
    ...present({ figures }),
    traceLink: (traceId) => (jaegerUrl === undefined ? undefined : `${jaegerUrl}/trace/${traceId}`),
    ...(server !== undefined && { metricsUrl: `${server.url}/metrics` }),
    // A worker that hosts runs closes it as well, while Redis is still there.
    close() {
      closed ??= close().then(() => server?.close())
      return closed
    },
  }
}

/** Figures that are only scraped, for a process that sends nothing anywhere. */
export async function figuresToScrape(service: string): Promise<ScrapedFigures> {
  const { scrapedFigures } = await import('../telemetry/metrics/scraped-figures.ts')
  return scrapedFigures({ service, version, instance: instanceName() })
}

const instanceName = (): string => `${hostname()}-${pid}`

/** The trace that the environment says this command is part of (`TRACEPARENT`, `TRACESTATE`, `BAGGAGE`). */
export async function traceOfEnvironment(environment: Environment): Promise<TraceContext | undefined> {
  if (!environment.TRACEPARENT?.trim()) return undefined
  const { traceContextOfEnvironment } = await import('../telemetry/trace-context.ts')
  return traceContextOfEnvironment(environment)
}

/** What the API asks of a request where this process sends no spans: the run joins its caller's trace all the same. */
export async function joinTraces(): Promise<(request: IncomingRequest) => RequestTrace> {
  const { traceOfRequest } = await import('../telemetry/request-span.ts')
  return (request) => {
    const trace = traceOfRequest(request)
    return { ...present({ trace }), end: () => undefined }
  }
}

/** What became of an export. */
export interface Exported {
  readonly sent: number
  readonly dropped: number
}

/**
 * Sends the spans of recorded runs to a collector, whether they were sampled or not: the same ids and times each time.
 * Throws `CAESURA_E_USAGE` for a URL that is none.
 */
export async function exportRuns(
  records: readonly RunRecord[],
  to: { readonly url: string; readonly environment: Environment; readonly log: (line: string) => void },
): Promise<Exported> {
  const { sendRecords } = await import('../telemetry/export-records.ts')
  return sendRecords(records, { ...to, version })
}
