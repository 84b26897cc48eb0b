import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import {
  type AggregationOption,
  AggregationType,
  type InstrumentType,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import { MOST_SERIES } from '../metric-table.ts'
import { reasonOf, statusOf } from '../span-sender.ts'
import type { Gauges } from './gauges.ts'

/** How long one push may take, ms; less where pushes follow each other faster. */
const PUSH_MS = 10_000

export interface PushSettings {
  readonly exporter: PushMetricExporter
  readonly intervalMs: number
  /** Where it sends to, for what is logged. */
  readonly to: string
  /** Whether the receiver may be one of spans alone, such as Jaeger: a 404 then ends the pushes, and is no fault. */
  readonly mayBeOfSpans: boolean
  /** Hears of it when figures can't be sent, once, and when they can be sent again. */
  readonly log: (line: string) => void
  readonly count: (fate: 'sent' | 'failed') => void
}

/** Pushes all figures again and again, and at the end. */
export const pushReader = (settings: PushSettings, gauges: Gauges): PeriodicExportingMetricReader =>
  new PeriodicExportingMetricReader({
    exporter: new WatchedExporter(settings),
    exportIntervalMillis: settings.intervalMs,
    exportTimeoutMillis: Math.min(PUSH_MS, settings.intervalMs),
    metricProducers: [gauges],
    cardinalityLimits: { default: MOST_SERIES + 1 },
  })

/**
 * Says once that figures can't be sent. By itself OpenTelemetry's reader tells its diagnostics of each failure, which nobody hears, or,
 * where somebody does, again with each push.
 */
class WatchedExporter implements PushMetricExporter {
  readonly #settings: PushSettings
  #isFailing = false
  #isUnwanted = false

  constructor(settings: PushSettings) {
    this.#settings = settings
  }

  export(metrics: ResourceMetrics, done: (result: ExportResult) => void): void {
    const { exporter } = this.#settings
    if (this.#isUnwanted) {
      done({ code: ExportResultCode.SUCCESS })
      return
    }
    const end = (result: ExportResult) => {
      this.#heed(result)
      done({ code: ExportResultCode.SUCCESS })
    }
    try {
      exporter.export(metrics, end)
    } catch (error) {
      end({ code: ExportResultCode.FAILED, error: error as Error })
    }
  }

  #heed({ code, error }: ExportResult): void {
    const { log, count, to, mayBeOfSpans } = this.#settings
    if (mayBeOfSpans && statusOf(error) === 404) {
      this.#isUnwanted = true
      return
    }
    const isSent = code === ExportResultCode.SUCCESS
    count(isSent ? 'sent' : 'failed')
    if (isSent === !this.#isFailing) return
    this.#isFailing = !isSent
    log(isSent ? 'figures are sent again' : `figures can't be sent to ${to}: ${reasonOf(error)}`)
  }

  selectAggregation(type: InstrumentType): AggregationOption {
    return this.#settings.exporter.selectAggregation?.(type) ?? { type: AggregationType.DEFAULT }
  }

  selectAggregationTemporality(type: InstrumentType) {
    return this.#settings.exporter.selectAggregationTemporality!(type)
  }

  forceFlush(): Promise<void> {
    return this.#settings.exporter.forceFlush()
  }

  shutdown(): Promise<void> {
    return this.#settings.exporter.shutdown()
  }
}
