import { describe, expect, it } from 'vitest'
import { telemetrySettings } from '../../src/telemetry/settings.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }

describe('where spans and figures go', () => {
  it('follows the common endpoint, or that of the signal as it is', () => {
    expect(telemetrySettings(endpoint)).toMatchObject({
      tracesUrl: 'http://collector:4318/v1/traces',
      metricsUrl: 'http://collector:4318/v1/metrics',
      jaegerUrl: 'http://collector:16686',
      warnings: [],
    })
    const own = { ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:9/in' }
    expect(telemetrySettings(own)).toMatchObject({ tracesUrl: 'http://other:9/in' })
    expect(telemetrySettings({ ...own, CAESURA_JAEGER_URL: 'https://jaeger/ui/' }).jaegerUrl).toBe('https://jaeger/ui')
    expect(telemetrySettings(own).jaegerUrl).toBeUndefined()
  })

  it.each([{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }, { OTEL_TRACES_EXPORTER: 'console' }])(
    'is nowhere for spans with %j',
    (more) => {
      expect(telemetrySettings({ ...endpoint, ...more }).tracesUrl).toBeUndefined()
    },
  )

  it.each(['collector:4318', 'grpc://collector:4317', 'http://', 'nonsense'])(
    'is nowhere, with a warning, for %s',
    (url) => {
      const settings = telemetrySettings({ OTEL_EXPORTER_OTLP_ENDPOINT: url })
      expect(settings.tracesUrl).toBeUndefined()
      expect(settings.warnings[0]).toMatch(/OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL/)
    },
  )
})

describe('what else the environment says', () => {
  const sampled = (environment: Record<string, string>) => {
    const { sampler, warnings } = telemetrySettings(environment)
    return { sampler: String(sampler), warnings: warnings.length }
  }

  it('chooses the sampler, with a warning for one that is none', () => {
    expect(sampled({}).sampler).toMatch(/^ParentBased\{root=RateLimited\{50\}/)
    expect(sampled({ OTEL_TRACES_SAMPLER: 'parentbased_always_on' }).sampler).toMatch(/^ParentBased\{root=AlwaysOn/)
    expect(sampled({ OTEL_TRACES_SAMPLER: 'rate_limited', OTEL_TRACES_SAMPLER_ARG: '7' }).sampler).toBe(
      'RateLimited{7}',
    )
    expect(sampled({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' })).toEqual({
      sampler: 'TraceIdRatioBased{0.25}',
      warnings: 0,
    })
    expect(sampled({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }).sampler).toMatch(/root=AlwaysOff/)
    for (const wrong of [
      { OTEL_TRACES_SAMPLER: 'coin' },
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' },
    ])
      expect(sampled(wrong).warnings).toBe(1)
  })

  it('keeps the default, with a warning, for a number that is none', () => {
    const settings = telemetrySettings({ OTEL_BSP_MAX_QUEUE_SIZE: 'many', OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '0' })
    expect(settings).toMatchObject({ mostWaiting: 50_000, longest: 1024 })
    expect(settings.warnings).toHaveLength(2)
  })

  it('captures content only where it is asked for, each place by itself', () => {
    expect(telemetrySettings({}).captureContent).toEqual({ spans: false, logs: false })
    expect(telemetrySettings({ CAESURA_CAPTURE_CONTENT: 'spans' }).captureContent).toEqual({ spans: true, logs: false })
    expect(telemetrySettings({ CAESURA_CAPTURE_CONTENT: 'true' }).warnings).toHaveLength(1)
  })
})
