import {
  type AggregationOption,
  AggregationType,
  InstrumentType,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { Protocol, TelemetrySettings } from './settings.ts'

/** What makes one, by OTLP's protocols: each is loaded where it is asked for. */
const spanExporters = {
  'http/protobuf': () => import('@opentelemetry/exporter-trace-otlp-proto'),
  'http/json': () => import('@opentelemetry/exporter-trace-otlp-http'),
  grpc: () => import('@opentelemetry/exporter-trace-otlp-grpc'),
} satisfies Record<Protocol, unknown>
const metricExporters = {
  'http/protobuf': () => import('@opentelemetry/exporter-metrics-otlp-proto'),
  'http/json': () => import('@opentelemetry/exporter-metrics-otlp-http'),
  grpc: () => import('@opentelemetry/exporter-metrics-otlp-grpc'),
} satisfies Record<Protocol, unknown>

const placeOf = (url: string, answerMs: number | undefined) => ({
  url,
  ...(answerMs !== undefined && { timeoutMillis: answerMs }),
})

/** For spans, as OpenTelemetry's variables say; undefined where they go nowhere. `answerMs`: how long a collector may take for a request. */
export async function spanExporter(
  { tracesUrl, tracesProtocol }: Pick<TelemetrySettings, 'tracesUrl' | 'tracesProtocol'>,
  answerMs?: number,
): Promise<SpanExporter | undefined> {
  if (tracesUrl === undefined) return undefined
  const { OTLPTraceExporter } = await spanExporters[tracesProtocol]()
  return new OTLPTraceExporter(placeOf(tracesUrl, answerMs))
}

/** The same for figures. Exponential histograms hold any length to some 4 %, where the receiver knows them. */
export async function metricExporter(
  { metricsUrl, metricsProtocol, histograms }: TelemetrySettings,
  answerMs?: number,
): Promise<PushMetricExporter | undefined> {
  if (metricsUrl === undefined) return undefined
  const { OTLPMetricExporter } = await metricExporters[metricsProtocol]()
  return new OTLPMetricExporter({
    ...placeOf(metricsUrl, answerMs),
    aggregationPreference: (type): AggregationOption =>
      type === InstrumentType.HISTOGRAM && histograms === 'exponential'
        ? { type: AggregationType.EXPONENTIAL_HISTOGRAM }
        : { type: AggregationType.DEFAULT },
  })
}
