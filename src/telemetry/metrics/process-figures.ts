import type { Counter, Histogram, Meter, MeterProvider as Meters } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import { type IMetricReader, MeterProvider } from '@opentelemetry/sdk-metrics'
import type { ScrapedFigures } from '../../core/figures.ts'
import type { RunRecord } from '../../core/record.ts'
import { type MetricName, metricTable } from '../metric-table.ts'
import { Gauges } from './gauges.ts'
import { measureRun } from './run-measurements.ts'
import { scope } from './scope.ts'
import { CONTENT_TYPE, ScrapeReader } from './scrape.ts'
import { Series } from './series.ts'

/** All figures of one process: those of its runs, its workers, its server. */
export interface ProcessFigures extends ScrapedFigures {
  runEnded(record: RunRecord): void
  /** Pushes once more, for at most `limitMs`. */
  close(limitMs: number): Promise<void>
}

export interface FigureReaders {
  /** Whether `text` is asked for; without that it has nothing to say. */
  readonly isScraped: boolean
  /** What pushes figures; it tells of each push. Handed in, so that who pushes nothing need not load it. */
  readonly push?: (gauges: Gauges, count: (fate: 'sent' | 'failed') => void) => IMetricReader
}

/** What counts for some readers, and ends with a last reading. */
export interface CountingMeters {
  readonly meters: Meters
  shutdown(limitMs: number): Promise<void>
}

/** A counter of one's own, for a process in which OpenTelemetry's SDK is not ours to set up. */
export function ownMeters(resource: Resource, readers: IMetricReader[]): CountingMeters {
  const meters = new MeterProvider({ resource, readers })
  // A receiver that is away must not keep a process that is done.
  return { meters, shutdown: (limitMs) => meters.shutdown({ timeoutMillis: limitMs }).catch(() => undefined) }
}

/** `open`: what counts for these readers. */
export function processFigures(
  open: (readers: IMetricReader[]) => CountingMeters,
  { isScraped, push }: FigureReaders,
): ProcessFigures {
  const gauges = new Gauges()
  const scrape = new ScrapeReader(gauges)
  const readers: IMetricReader[] = isScraped ? [scrape] : []
  if (push !== undefined) readers.push(push(gauges, (fate) => take('caesura.telemetry.pushes', 1, { fate })))
  const { meters, shutdown } = open(readers)
  const instruments = instrumentsOf(meters.getMeter(scope.name, scope.version, { schemaUrl: scope.schemaUrl }))
  const take = (name: MetricName, value: number, labels: Readonly<Record<string, string>>) =>
    instruments.get(name)?.(value, labels)
  if (push !== undefined) for (const fate of ['sent', 'failed']) take('caesura.telemetry.pushes', 0, { fate })
  return {
    contentType: CONTENT_TYPE,
    text: async () => (isScraped ? scrape.text() : ''),
    count: (name, labels = {}, by = 1) => take(name, by, labels),
    time: (name, ms, labels = {}) => take(name, Math.max(0, ms) / 1000, labels),
    watch: (read) => gauges.watch(read),
    runEnded: (record) => measureRun(record, take),
    close: shutdown,
  }
}

type Instrument = (value: number, labels: Readonly<Record<string, string>>) => void

function instrumentsOf(meter: Meter): ReadonlyMap<MetricName, Instrument> {
  const instruments = new Map<MetricName, Instrument>()
  for (const [name, { kind, unit, says: description, buckets }] of Object.entries(metricTable)) {
    const series = new Series()
    if (kind === 'counter') {
      const counter: Counter = meter.createCounter(name, { unit, description })
      instruments.set(name as MetricName, (value, labels) => {
        const isNew = value === 0 && !series.has(labels)
        // Nothing is worth a µs only once: it shows that there was nothing.
        if (value > 0 || isNew) counter.add(value, series.of(labels))
      })
    } else if (kind === 'histogram') {
      const advice = { explicitBucketBoundaries: [...(buckets ?? [])] }
      const histogram: Histogram = meter.createHistogram(name, { unit, description, advice })
      instruments.set(name as MetricName, (value, labels) => histogram.record(value, series.of(labels)))
    }
  }
  return instruments
}
