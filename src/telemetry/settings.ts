import type { Sampler } from '@opentelemetry/sdk-trace'
import { withoutPassword } from '../core/address.ts'
import type { Environment } from '../core/environment.ts'
import { samplerOf } from './sampling.ts'

/** Variables of the environment. */
/** What the environment says of telemetry: OpenTelemetry's own variables, and a few of ours. */
export interface TelemetrySettings {
  /** Where spans go, the whole URL; absent: nowhere. */
  readonly tracesUrl?: string
  /** Where figures are pushed to, the whole URL; absent: nowhere. */
  readonly metricsUrl?: string
  /** How each of them is sent; `http/protobuf` by default. */
  readonly tracesProtocol: Protocol
  readonly metricsProtocol: Protocol
  /** `OTEL_SDK_DISABLED`. */
  readonly isDisabled: boolean
  /** Whether spans and logs of whatever instrumentation there is go anywhere. */
  readonly sendsSpans: boolean
  readonly sendsLogs: boolean
  /** `OTEL_PROPAGATORS=none`. */
  readonly propagatesNothing: boolean
  /** Whether that is the common endpoint, which may be for spans alone. */
  readonly isMetricsUrlCommon: boolean
  /** Between two pushes of figures, ms; 60,000 by default. */
  readonly metricsIntervalMs: number
  /** Of pushed figures; `exponential` by default. */
  readonly histograms: 'exponential' | 'explicit'
  readonly sampler: Sampler
  /** The same for spans of whatever instrumentation there is: it must not use up the traces of runs. */
  readonly instrumentationSampler: Sampler
  /** `OTEL_SERVICE_NAME`. */
  readonly service?: string
  /** The longest string of an attribute, UTF-16 units; 1,024 by default. */
  readonly longest: number
  /** Spans that may wait; 50,000 by default. */
  readonly mostWaiting: number
  /** Spans of one request; 128 by default. */
  readonly batch: number
  /** How long spans wait for others, ms; 1,000 by default. */
  readonly delayMs: number
  /** Whether spans and logs hold what people wrote and models answered; false by default. */
  readonly captureContent: { readonly spans: boolean; readonly logs: boolean }
  /** Where a trace is looked at, such as `http://127.0.0.1:16686`; absent where nothing is known of it. */
  readonly jaegerUrl?: string
  /** What of the environment could not be used, one sentence each. */
  readonly warnings: readonly string[]
}

const protocols = ['http/protobuf', 'http/json', 'grpc'] as const
export type Protocol = (typeof protocols)[number]
type Signal = 'TRACES' | 'METRICS' | 'LOGS'

/** Never throws: what can't be used is left out, with a warning. */
export function telemetrySettings(environment: Environment): TelemetrySettings {
  const warnings: string[] = []
  const read = (name: string): string | undefined => environment[name]?.trim() || undefined
  const whole = (name: string, least: number, otherwise: number): number => {
    const value = read(name)
    if (value === undefined) return otherwise
    if (/^\d{1,9}$/.test(value) && Number(value) >= least) return Number(value)
    warnings.push(`${name} is not a whole number from ${least}: ${otherwise} is used`)
    return otherwise
  }
  const isOff = read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true'
  const exportersOf = (signal: Signal): string[] => listOf(read(`OTEL_${signal}_EXPORTER`) ?? 'otlp')
  const protocolOf = (signal: Signal): Protocol => {
    const asked = read(`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) ?? read('OTEL_EXPORTER_OTLP_PROTOCOL')
    return protocols.find((protocol) => protocol === asked) ?? 'http/protobuf'
  }
  const urlOf = (signal: Signal): string | undefined => {
    if (isOff || !exportersOf(signal).includes('otlp')) return undefined
    const url = endpointOf(read, signal, protocolOf(signal))
    if (url !== undefined && !isWeb(url.value)) {
      warnings.push(`${url.name} is no http or https URL: nothing is sent there`)
      return undefined
    }
    const protocol = read(`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) ?? read('OTEL_EXPORTER_OTLP_PROTOCOL')
    if (url !== undefined && protocol !== undefined && protocol !== protocolOf(signal))
      warnings.push(`OTLP is sent as http/protobuf, not as ${protocol}`)
    return url?.value
  }
  const tracesUrl = urlOf('TRACES')
  const metricsUrl = urlOf('METRICS')
  /** Elsewhere than by OTLP, such as to the console, instrumentation alone sends. */
  const sends = (signal: Signal, url: string | undefined): boolean =>
    url !== undefined || exportersOf(signal).some((name) => name !== 'otlp' && name !== 'none')
  const samplerAsAsked = (told: string[]): Sampler =>
    samplerOf(read('OTEL_TRACES_SAMPLER'), read('OTEL_TRACES_SAMPLER_ARG'), told)
  const longest = whole('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', 1, 1024)
  const jaegerUrl = read('CAESURA_JAEGER_URL') ?? jaegerOf(tracesUrl)
  const service = read('OTEL_SERVICE_NAME')
  return {
    ...(tracesUrl !== undefined && { tracesUrl }),
    ...(metricsUrl !== undefined && { metricsUrl }),
    tracesProtocol: protocolOf('TRACES'),
    metricsProtocol: protocolOf('METRICS'),
    isDisabled: isOff,
    sendsSpans: sends('TRACES', tracesUrl),
    sendsLogs: sends('LOGS', urlOf('LOGS')),
    propagatesNothing: listOf(read('OTEL_PROPAGATORS') ?? '').includes('none'),
    isMetricsUrlCommon: read('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT') === undefined,
    metricsIntervalMs: whole('OTEL_METRIC_EXPORT_INTERVAL', 1, 60_000),
    histograms: histogramsOf(read('OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION'), warnings),
    sampler: samplerAsAsked(warnings),
    instrumentationSampler: samplerAsAsked([]),
    ...(service !== undefined && { service }),
    longest: whole('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 1, longest),
    mostWaiting: whole('OTEL_BSP_MAX_QUEUE_SIZE', 1, 50_000),
    batch: whole('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 1, 128),
    delayMs: whole('OTEL_BSP_SCHEDULE_DELAY', 0, 1000),
    captureContent: contentOf(read('CAESURA_CAPTURE_CONTENT'), warnings),
    ...(jaegerUrl !== undefined && { jaegerUrl: withoutPassword(jaegerUrl).replace(/\/+$/, '') }),
    // Of both signals the same is said once.
    warnings: [...new Set(warnings)],
  }
}

/** The signal's own variable names the whole URL, the common one what comes before `/v1/…`, which gRPC has none of (OTLP exporter specification). */
function endpointOf(
  read: (name: string) => string | undefined,
  signal: Signal,
  protocol: Protocol,
): { name: string; value: string } | undefined {
  const own = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`
  const [url, base] = [read(own), read('OTEL_EXPORTER_OTLP_ENDPOINT')]
  if (url !== undefined) return { name: own, value: url }
  if (base === undefined) return undefined
  const value = protocol === 'grpc' ? base : otlpUrl(base, signal.toLowerCase())
  return { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value }
}

/** Where a collector takes a signal. */
export const otlpUrl = (base: string, signal: string): string => `${base.replace(/\/+$/, '')}/v1/${signal}`

export const isWeb = (url: string): boolean => /^https?:\/\/[^/]/.test(url) && URL.canParse(url)

/** Jaeger takes OTLP on 4318 and shows traces on 16686 of the same machine. */
function jaegerOf(tracesUrl: string | undefined): string | undefined {
  if (tracesUrl === undefined) return undefined
  const { protocol, hostname, port } = new URL(tracesUrl)
  return port === '4318' ? `${protocol}//${hostname}:16686` : undefined
}

function histogramsOf(name: string | undefined, warnings: string[]): TelemetrySettings['histograms'] {
  if (name === 'explicit_bucket_histogram') return 'explicit'
  if (name !== undefined && name !== 'base2_exponential_bucket_histogram')
    warnings.push(
      `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION names no aggregation (${name}): base2_exponential_bucket_histogram is used`,
    )
  return 'exponential'
}

const listOf = (names: string): string[] =>
  names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')

function contentOf(value: string | undefined, warnings: string[]): TelemetrySettings['captureContent'] {
  const asked = listOf(value ?? '')
  const unknown = asked.filter((name) => name !== 'spans' && name !== 'logs')
  if (unknown.length > 0)
    warnings.push(`CAESURA_CAPTURE_CONTENT holds ${unknown.join(', ')}: only spans and logs are known`)
  return { spans: asked.includes('spans'), logs: asked.includes('logs') }
}
