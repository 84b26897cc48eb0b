import { type DiagLogger, DiagLogLevel, diag, type MeterProvider, metrics } from '@opentelemetry/api'
import {
  defaultResource,
  envDetector,
  hostDetector,
  osDetector,
  type ResourceDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import type { IMetricReader } from '@opentelemetry/sdk-metrics'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { within } from '../core/within.ts'
import { hasListener, isSetUp } from './program-api.ts'
import { propagateNothing } from './propagation.ts'
import { resourceAttribute as key } from './semconv.ts'
import type { TelemetrySettings } from './settings.ts'

export interface SdkPlace {
  readonly service: string
  readonly instance: string
  readonly version: string
  readonly log: (line: string) => void
}

/** OpenTelemetry's SDK, set up for all of this process. */
export interface StartedSdk {
  /** Where figures are counted, for the readers that it was given. */
  readonly meters: MeterProvider
  /** Sends what waits, for at most `limitMs`. */
  shutdown(limitMs: number): Promise<void>
}

/**
 * Without `process`, which tells of the whole command line, and that may hold a prompt; and without a random `service.instance.id`: a
 * process has one by which records name it.
 */
const detectors: ResourceDetector[] = [hostDetector, osDetector, envDetector]

/**
 * Sets OpenTelemetry up as its variables say: resource, propagators, context, metrics, limits, and an exporter for the spans of whatever
 * instrumentation there is. Undefined where it is disabled, or where the program has set it up by itself, such as with `--import`: then
 * that counts. Spans of runs take no part in it: they have a queue of their own.
 */
export function startSdk(
  settings: TelemetrySettings,
  place: SdkPlace,
  readers: readonly IMetricReader[],
): StartedSdk | undefined {
  if (settings.isDisabled || isSetUp()) return undefined
  const said = new Set<string>()
  const tell = (...words: unknown[]) => said.add(words.join(' '))
  // With OTEL_LOG_LEVEL the SDK writes its own log.
  const isQuiet = !process.env.OTEL_LOG_LEVEL?.trim() && !hasListener()
  if (isQuiet) diag.setLogger(listener(tell), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  const sdk = new NodeSDK({
    resource: defaultResource().merge(
      resourceFromAttributes({ [key.serviceVersion]: place.version, [key.serviceInstance]: place.instance }),
    ),
    serviceName: place.service,
    // None is none: left out, the SDK would make one for an endpoint on this machine.
    metricReaders: [...readers],
    sampler: settings.instrumentationSampler,
    ...(!process.env.OTEL_NODE_RESOURCE_DETECTORS?.trim() && { resourceDetectors: detectors }),
    // Without an endpoint the SDK would send to one on this machine.
    ...(!settings.sendsSpans && { spanProcessors: [] }),
    ...(!settings.sendsLogs && { logRecordProcessors: [] }),
  })
  sdk.start()
  if (isQuiet) diag.disable()
  if (settings.propagatesNothing) propagateNothing()
  for (const line of said) if (!isToldAlready(line, settings.warnings)) place.log(line)
  return {
    meters: metrics.getMeterProvider(),
    // A receiver that is away must not keep a process that is done.
    shutdown: async (limitMs) => {
      await within(
        limitMs,
        sdk.shutdown().catch(() => undefined),
      )
    },
  }
}

const listener = (tell: (...words: unknown[]) => void): DiagLogger => {
  const ignore = () => undefined
  return { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore }
}

/** Both look at some variables; one sentence about each is enough. */
const isToldAlready = (line: string, warnings: readonly string[]): boolean =>
  (line.match(/OTEL_\w+/g) ?? []).some((name) => warnings.some((warning) => warning.includes(name)))
