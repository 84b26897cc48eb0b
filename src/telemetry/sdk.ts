import { type DiagLogger, DiagLogLevel, diag, type MeterProvider, metrics } from '@opentelemetry/api'
import {
  defaultResource,
  envDetector,
  hostDetector,
  osDetector,
  type Resource,
  type ResourceDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { AggregationType, type IMetricReader, MetricReader } from '@opentelemetry/sdk-metrics'
import { NodeSDK } from '@opentelemetry/sdk-node'
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
  /** What the detectors have found of this process. */
  resource(): Promise<Resource>
  /** Sends what waits, for at most `limitMs`. */
  shutdown(limitMs: number): Promise<void>
}

/** How long a detector may take, ms; what it has found by then counts. */
const DETECTION_MS = 1000

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
  const sdkReaders = readers.length > 0 ? [...readers] : [new ResourceReader()]
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
    metricReaders: sdkReaders,
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
    resource: () => resourceOf(sdkReaders[0]!),
    shutdown: (limitMs) => within(limitMs, sdk.shutdown()),
  }
}

/** The SDK tells its resource to nobody but its readers. */
async function resourceOf(reader: IMetricReader): Promise<Resource> {
  const { resource } = (await reader.collect()).resourceMetrics
  await within(DETECTION_MS, Promise.resolve(resource.waitForAsyncAttributes?.()))
  return resource
}

/** Never rejects: a receiver that is away must not keep a process that is done. */
async function within(limitMs: number, done: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, limitMs)
  await Promise.race([done.catch(() => undefined), late])
  clearTimeout(timer)
}

/** For a process whose figures nobody wants: it keeps none. */
class ResourceReader extends MetricReader {
  constructor() {
    super({ aggregationSelector: () => ({ type: AggregationType.DROP }) })
  }

  protected async onShutdown(): Promise<void> {}

  protected async onForceFlush(): Promise<void> {}
}

const listener = (tell: (...words: unknown[]) => void): DiagLogger => {
  const ignore = () => undefined
  return { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore }
}

/** Both look at some variables; one sentence about each is enough. */
const isToldAlready = (line: string, warnings: readonly string[]): boolean =>
  (line.match(/OTEL_\w+/g) ?? []).some((name) => warnings.some((warning) => warning.includes(name)))
