import { ROOT_CONTEXT, SpanKind, TraceFlags, trace } from '@opentelemetry/api'
import type { IMetricReader, PushMetricExporter } from '@opentelemetry/sdk-metrics'
import { RandomIdGenerator, type Sampler, SamplingDecision, type SpanExporter } from '@opentelemetry/sdk-trace'
import { withoutPassword } from '../core/address.ts'
import type { ScrapedFigures } from '../core/figures.ts'
import type { IncomingRequest, RequestTrace, Telemetry } from '../core/ports.ts'
import { newTraceId, type TraceContext } from '../core/trace.ts'
import { metricExporter, spanExporter } from './exporters.ts'
import { type CountingMeters, ownMeters, processFigures } from './metrics/process-figures.ts'
import { pushReader } from './metrics/push.ts'
import { openRequest, traceOfRequest } from './request-span.ts'
import { Resources } from './resources.ts'
import { runSpans, spanCount } from './run-spans.ts'
import type { StartedSdk } from './sdk.ts'
import type { TelemetrySettings } from './settings.ts'
import { SpanSender } from './span-sender.ts'

export interface TelemetryPlace {
  /** By which spans name this process where `OTEL_SERVICE_NAME` does not. */
  readonly service: string
  /** Tells the processes of one service apart. */
  readonly instance: string
  readonly version: string
  readonly log: (line: string) => void
  /** Whether OpenTelemetry's SDK is set up for all of the process; false by default: in a program that is for the program to do. */
  readonly setsUp?: boolean
  /** In the place of OTLP over HTTP. */
  readonly exporter?: SpanExporter
  /** In the place of OTLP over HTTP, for figures. */
  readonly metricExporter?: PushMetricExporter
  /** Whether figures are scraped from this process too; false by default. */
  readonly isScraped?: boolean
  /** How long `close` may take, ms; 3,000 by default. */
  readonly closeMs?: number
  /** How long a collector may take for a request, ms; `OTEL_EXPORTER_OTLP_TIMEOUT` or 10,000 by default. */
  readonly answerMs?: number
}

const CLOSE_MS = 3000
/** What the last push has at least, whatever the spans took of `closeMs`. */
const LAST_PUSH_MS = 500

/** Telemetry of one process. */
export interface ProcessTelemetry extends Telemetry {
  /** Spans that have not arrived yet. */
  readonly waiting: number
  /** A request to this process that is part of its caller's trace, or begins one. */
  openRequest(request: IncomingRequest): RequestTrace
  /** Absent where nobody scrapes them and they are sent nowhere. */
  readonly figures?: ScrapedFigures
}

/** Spans of this process's sampled runs and figures of all of them, as `settings` say. */
export async function openTelemetry(settings: TelemetrySettings, place: TelemetryPlace): Promise<ProcessTelemetry> {
  const { service = place.service, sampler, tracesUrl } = settings
  const names = { service, instance: place.instance, version: place.version }
  const resources = new Resources(names)
  const exporter = place.exporter ?? (await spanExporter(settings, place.answerMs))
  const pusher = place.metricExporter ?? (await metricExporter(settings, place.answerMs))
  const start = place.setsUp ? (await import('./sdk.ts')).startSdk : undefined
  let sdk: StartedSdk | undefined
  const openMeters = (readers: IMetricReader[]): CountingMeters => {
    sdk = start?.(settings, { ...names, log: place.log }, readers)
    return sdk ?? ownMeters(resources.own, readers)
  }
  const figures = figuresOf(settings, place, { pusher, openMeters })
  if (figures === undefined) sdk = start?.(settings, { ...names, log: place.log }, [])
  const spanSettings = { resources, longest: settings.longest, captureContent: settings.captureContent.spans }
  const ids = new RandomIdGenerator()
  const sender =
    exporter &&
    new SpanSender({
      exporter,
      to: withoutPassword(tracesUrl ?? ''),
      mostWaiting: settings.mostWaiting,
      batch: settings.batch,
      delayMs: settings.delayMs,
      log: place.log,
      count: (spans, fate) => figures?.count('caesura.telemetry.spans', { fate }, spans),
    })
  if (sender !== undefined && figures !== undefined) {
    for (const fate of ['sent', 'dropped']) figures.count('caesura.telemetry.spans', { fate }, 0)
    figures.watch(() => ({ 'caesura.telemetry.spans_waiting': sender.waiting }))
  }
  const begin = (asked: TraceContext = { traceId: newTraceId() }): TraceContext =>
    sender === undefined ? asked : { ...asked, sampled: isSampled(sampler, asked) }
  const sendAgain: Telemetry['sendAgain'] = (record, sent = () => undefined) => {
    if (record.sampled) sender?.offer({ count: spanCount(record), make: () => runSpans(record, spanSettings), sent })
  }
  return {
    get waiting() {
      return sender?.waiting ?? 0
    },
    process: { service, instance: place.instance },
    begin,
    ...(figures !== undefined && { figures }),
    runEnded(record, sent) {
      figures?.runEnded(record)
      sendAgain(record, sent)
    },
    sendAgain,
    openRequest(request) {
      if (sender !== undefined)
        return openRequest(request, { telemetry: { begin }, sender, resources, newSpanId: () => ids.generateSpanId() })
      const trace = traceOfRequest(request)
      return { ...(trace !== undefined && { trace }), end: () => undefined }
    },
    async close() {
      const until = performance.now() + (place.closeMs ?? CLOSE_MS)
      await sender?.close(place.closeMs ?? CLOSE_MS)
      // After the spans, so that the last push tells what became of them.
      await (sdk?.shutdown ?? figures?.close)?.(Math.max(LAST_PUSH_MS, until - performance.now()))
    },
  }
}

function figuresOf(
  { metricsUrl, isMetricsUrlCommon: mayBeOfSpans, metricsIntervalMs: intervalMs }: TelemetrySettings,
  { isScraped = false, log }: TelemetryPlace,
  from: {
    readonly pusher: PushMetricExporter | undefined
    readonly openMeters: (readers: IMetricReader[]) => CountingMeters
  },
) {
  const { pusher: exporter, openMeters } = from
  if (exporter === undefined && !isScraped) return undefined
  const to = withoutPassword(metricsUrl ?? '')
  return processFigures(openMeters, {
    isScraped,
    ...(exporter !== undefined && {
      push: (gauges, count) => pushReader({ exporter, intervalMs, to, mayBeOfSpans, log, count }, gauges),
    }),
  })
}

/** The same for one trace wherever it is asked. */
function isSampled(sampler: Sampler, { traceId, parentSpanId, sampled }: TraceContext): boolean {
  const context =
    parentSpanId === undefined || sampled === undefined
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, {
          traceId,
          spanId: parentSpanId,
          traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
          isRemote: true,
        })
  const { decision } = sampler.shouldSample(context, traceId, 'invoke_workflow', SpanKind.INTERNAL, {}, [])
  return decision === SamplingDecision.RECORD_AND_SAMPLED
}
