import { type HrTime, ValueType } from '@opentelemetry/api'
import { hrTime } from '@opentelemetry/core'
import { emptyResource } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type GaugeMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import type { GaugeName, Reading, Readings } from '../../core/figures.ts'
import { MOST_SERIES, metricTable } from '../metric-table.ts'
import { scope } from './scope.ts'
import { shortened } from './series.ts'

type Read = () => Readings | Promise<Readings>

/**
 * Gauges that are read when they are wanted, and hold exactly what is read then. OpenTelemetry's observable gauges go on showing what
 * was there once, such as a node that has gone.
 */
export class Gauges implements MetricProducer {
  readonly #reads = new Set<Read>()

  watch(read: Read): () => void {
    // The same function may be handed over twice.
    const own: Read = () => read()
    this.#reads.add(own)
    return () => this.#reads.delete(own)
  }

  async collect(): Promise<CollectionResult> {
    const read = await Promise.allSettled([...this.#reads].map(async (each) => each()))
    const now = hrTime()
    const points = new Map<GaugeName, DataPoint<number>[]>()
    for (const result of read) {
      if (result.status === 'rejected') continue
      for (const [name, readings] of Object.entries(result.value) as [GaugeName, number | readonly Reading[]][]) {
        const own = typeof readings === 'number' ? [{ value: readings }] : readings
        points.set(name, [...(points.get(name) ?? []), ...own.map((reading) => pointOf(reading, now))])
      }
    }
    const shown = [...points].filter(([, found]) => found.length > 0)
    const metrics = shown.map(([name, found]) => gaugeOf(name, found.slice(0, MOST_SERIES)))
    const scopeMetrics = metrics.length === 0 ? [] : [{ scope, metrics }]
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] }
  }
}

const pointOf = ({ value, labels = {} }: Reading, now: HrTime): DataPoint<number> => ({
  attributes: shortened(labels),
  startTime: now,
  endTime: now,
  value,
})

function gaugeOf(name: GaugeName, dataPoints: DataPoint<number>[]): GaugeMetricData {
  const { unit, says } = metricTable[name]
  return {
    descriptor: { name, unit, description: says, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints,
  }
}
