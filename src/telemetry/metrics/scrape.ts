import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { type MetricData, MetricReader, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { MOST_SERIES, scrapedName } from '../metric-table.ts'
import type { Gauges } from './gauges.ts'

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Gives figures to whoever asks, as Prometheus text. Histograms have explicit buckets there: the text format knows no others. */
export class ScrapeReader extends MetricReader {
  // Neither a resource nor a scope with each series: who scrapes knows whom it asked.
  readonly #serializer = new PrometheusSerializer(undefined, false, undefined, true, true)
  #collecting: Promise<string> | undefined

  constructor(gauges: Gauges) {
    super({ metricProducers: [gauges], cardinalitySelector: () => MOST_SERIES + 1 })
  }

  /** One reading at a time, whoever asks. */
  text(): Promise<string> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = undefined
    })
    return this.#collecting
  }

  async #collect(): Promise<string> {
    const { resourceMetrics } = await this.collect()
    const text = this.#serializer.serialize(named(resourceMetrics))
    return `${text.trimEnd()}\n`
  }

  protected async onShutdown(): Promise<void> {}

  protected async onForceFlush(): Promise<void> {}
}

/** The names that Prometheus gives to what is pushed to it, so that a dashboard fits both. */
const named = ({ resource, scopeMetrics }: ResourceMetrics): ResourceMetrics => ({
  resource,
  scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({ scope, metrics: metrics.map(renamed) })),
})

const renamed = (metric: MetricData): MetricData => ({
  ...metric,
  descriptor: {
    ...metric.descriptor,
    name: scrapedName(metric.descriptor.name, metric.descriptor.unit),
    // The unit has a line of its own in OpenMetrics only.
    unit: '',
  },
})
