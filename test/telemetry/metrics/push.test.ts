import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { spanCount } from '../../../src/telemetry/run-spans.ts'
import { telemetrySettings } from '../../../src/telemetry/settings.ts'
import { openTelemetry, type ProcessTelemetry } from '../../../src/telemetry/telemetry.ts'
import { OtlpSink } from '../../fixtures/otlp-sink.ts'
import { interruptedRun } from '../../records.ts'

let sink: OtlpSink
let lines: string[]
beforeEach(async () => {
  sink = new OtlpSink()
  await sink.up()
  lines = []
})
afterEach(() => sink.down())

const open = (more: Record<string, string> = {}): Promise<ProcessTelemetry> =>
  openTelemetry(telemetrySettings({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${sink.url}/v1/metrics`, ...more }), {
    service: 'caesura-test',
    instance: 'here-1',
    version: '0',
    log: (line) => lines.push(line),
    closeMs: 1000,
  })
const named = (name: string) => sink.metrics.filter((metric) => metric.name === name).at(-1)!

describe('a push', () => {
  it('at the end brings all, sampled or not, with exponential histograms', async () => {
    const telemetry = await open()
    telemetry.runEnded(interruptedRun)
    telemetry.runEnded({ ...interruptedRun, sampled: false })
    await telemetry.close()
    expect(sink.requests).toMatchObject([{ path: '/v1/metrics', status: 200 }])
    const duration = named('gen_ai.client.operation.duration')
    expect(duration).toMatchObject({ kind: 'exponentialHistogram', temporality: 'cumulative', unit: 's' })
    expect(duration.resource).toMatchObject({ 'service.name': 'caesura-test', 'service.instance.id': 'here-1' })
    expect(duration.points.map(({ attributes, count }) => [attributes['caesura.settlement'], count])).toEqual([
      ['aborted', 2],
      ['completed', 2],
    ])
    expect(named('caesura.interrupt.to_first_token').points).toMatchObject([{ count: 2, sum: 0.2, min: 0.1, max: 0.1 }])
    expect(named('caesura.tokens.wasted')).toMatchObject({ kind: 'sum', isMonotonic: true })
    expect(lines).toEqual([])
  })

  it('has explicit buckets where the environment says so', async () => {
    const telemetry = await open({
      OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'explicit_bucket_histogram',
    })
    telemetry.runEnded(interruptedRun)
    await telemetry.close()
    const duration = named('gen_ai.client.operation.duration')
    expect(duration.kind).toBe('histogram')
    expect(duration.points[0]!.explicitBounds).toHaveLength(14)
  })

  it('has nothing of a run whose spans alone are sent again', async () => {
    const telemetry = await open({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces` })
    telemetry.sendAgain({ ...interruptedRun, sampled: true })
    await telemetry.close()
    expect(sink.spans).toHaveLength(spanCount(interruptedRun))
    expect(sink.metrics.map(({ name }) => name)).not.toContain('gen_ai.workflow.duration')
  })

  it('comes again and again, each with all so far', async () => {
    const telemetry = await open({ OTEL_METRIC_EXPORT_INTERVAL: '20' })
    telemetry.runEnded(interruptedRun)
    await sink.until(() => sink.requests.length >= 2)
    telemetry.runEnded(interruptedRun)
    const counted = () => named('gen_ai.workflow.duration').points[0]!.count
    await sink.until(() => counted() === 2)
    await telemetry.close()
  })

  it('tells of the spans too: those that were sent, that were dropped, and that wait', async () => {
    const telemetry = await open({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces`,
      OTEL_BSP_MAX_QUEUE_SIZE: '10',
      OTEL_BSP_SCHEDULE_DELAY: '60000',
    })
    telemetry.runEnded({ ...interruptedRun, sampled: true })
    telemetry.runEnded({ ...interruptedRun, sampled: true })
    await telemetry.close()
    const fates = Object.fromEntries(
      named('caesura.telemetry.spans').points.map(({ attributes, value }) => [attributes.fate, value]),
    )
    expect(fates.sent).toBe(sink.spans.length)
    expect(fates.sent! + fates.dropped!).toBe(2 * spanCount(interruptedRun))
    expect(fates.dropped).toBeGreaterThan(0)
    expect(named('caesura.telemetry.spans_waiting')).toMatchObject({ kind: 'gauge', points: [{ value: 0 }] })
  })
})

describe('a receiver of figures that is away', () => {
  it('costs one warning, and one line when it is back', async () => {
    sink.behave('bad-request')
    const telemetry = await open({ OTEL_METRIC_EXPORT_INTERVAL: '20' })
    telemetry.runEnded(interruptedRun)
    await sink.until(() => sink.requests.length >= 4)
    expect(lines).toEqual([expect.stringMatching(/^figures can't be sent to http:.*the collector answered 400/)])
    sink.behave('take')
    await sink.until(() => sink.metrics.length > 0)
    await telemetry.close()
    expect(lines.slice(1)).toEqual(['figures are sent again'])
  })

  it('keeps no process from ending', async () => {
    await sink.down()
    const telemetry = await open()
    telemetry.runEnded(interruptedRun)
    await telemetry.close()
    expect(sink.metrics).toEqual([])
  })

  it('is no fault where the common endpoint is one of spans alone', async () => {
    // Everything else than the two signals is answered 404 there.
    const telemetry = await openTelemetry(
      {
        ...telemetrySettings({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRIC_EXPORT_INTERVAL: '20' }),
        metricsUrl: `${sink.url}/v1/none`,
      },
      { service: 's', instance: 'i', version: '0', log: (line) => lines.push(line) },
    )
    telemetry.runEnded({ ...interruptedRun, sampled: true })
    await sink.until(() => sink.requests.some(({ status }) => status === 404))
    await sink.until(() => sink.spans.length > 0)
    await telemetry.close()
    expect(sink.requests.filter(({ status }) => status === 404)).toHaveLength(1)
    expect(lines).toEqual([])
  })
})

describe('figures', () => {
  it('are not made where nobody wants them', async () => {
    const spansOnly = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_METRICS_EXPORTER: 'none' }
    const place = { service: 's', instance: 'i', version: '0', log: () => undefined }
    expect((await openTelemetry(telemetrySettings(spansOnly), place)).figures).toBeUndefined()
    expect((await openTelemetry(telemetrySettings(spansOnly), { ...place, isScraped: true })).figures).toBeDefined()
  })
})
