import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { RunRecord } from '../../src/core/record.ts'
import { caesura, examplePipeline, startCaesura } from '../cli/caesura.ts'
import type { Span } from '../fixtures/otlp/spans.ts'
import { OtlpSink } from '../fixtures/otlp-sink.ts'
import { problemsOf } from '../fixtures/trace-checks.ts'
import { lengthOf, shapeOfRuns } from '../telemetry/sent.ts'

let folder: string
let sink: OtlpSink
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-trace-'))
  sink = new OtlpSink()
  await sink.up()
})
afterEach(() => sink.clear())
afterAll(async () => {
  await sink.down()
  rmSync(folder, { recursive: true, force: true })
})

const run = (env: NodeJS.ProcessEnv, ...flags: string[]) => runOn(env, '--backend', 'embedded', ...flags)
const runOn = (env: NodeJS.ProcessEnv, ...flags: string[]) =>
  caesura(
    folder,
    [
      ...['run', examplePipeline, '--input', 'How do I descale a kettle?', '--json'],
      ...['--interrupt', 'tokens=12:I have no vinegar.', ...flags],
    ],
    env,
  )
const toSink = () => ({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces` })
const recordIn = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as RunRecord

describe('caesura run with a collector', () => {
  it('sends the trace that its record tells of, to the nanosecond, and says where it is', async () => {
    const ended = await run({ ...toSink(), CAESURA_JAEGER_URL: 'http://jaeger:16686' })
    const record = recordIn(ended)
    expect(ended).toMatchObject({ status: 0 })
    expect(ended.stderr).toContain(`Trace: http://jaeger:16686/trace/${record.traceId}\n`)
    expect(problemsOf(sink.spans, shapeOfRuns)).toEqual([])
    expect(new Set(sink.spans.map(({ traceId }) => traceId))).toEqual(new Set([record.traceId]))
    const [interrupt] = record.interrupts
    const phases = sink.spans.filter(({ name }) => name.startsWith('phase '))
    expect(phases.map(lengthOf)).toEqual(interrupt!.phases.map(({ ms }) => Math.round(ms * 1e6)))
    const startOf = (span: Span) => Number(span.startTime - BigInt(Math.round(record.startedUnixMs! * 1e6))) / 1e6
    expect(startOf(phases[0]!)).toBeCloseTo(interrupt!.at, 3)
    expect(sink.spans.map(({ kind }) => kind).filter((kind) => kind === 'client')).toHaveLength(record.stages.length)
  })

  it('is part of the trace that the environment names', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const record = recordIn(await run({ ...toSink(), TRACEPARENT: traceparent }))
    expect(record).toMatchObject({ traceId: traceparent.slice(3, 35), parentSpanId: traceparent.slice(36, 52) })
    expect(problemsOf(sink.spans, { ...shapeOfRuns, remoteParents: ['b7ad6b7169203331'] })).toEqual([])
  })

  it('sends nothing of a run that its caller does not sample, or that the sampler leaves out', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    for (const more of [{ TRACEPARENT: traceparent }, { OTEL_TRACES_SAMPLER: 'always_off' }]) {
      const ended = await run({ ...toSink(), ...more })
      expect(recordIn(ended).sampled).toBe(false)
      expect(ended.stderr).not.toContain('Trace:')
    }
    expect(sink.requests).toEqual([])
  })

  it('warns once, and runs all the same, where none is there', async () => {
    const ended = await run({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:pass@127.0.0.1:9' })
    expect(ended.status).toBe(0)
    expect(ended.stderr.match(/spans can't be sent/g)).toHaveLength(1)
    expect(ended.stderr).toMatch(/ECONNREFUSED/)
    expect(ended.stderr).not.toContain('pass')
    const jaeger = await run({ ...toSink(), CAESURA_JAEGER_URL: 'http://user:pass@jaeger:16686' })
    expect(jaeger.stderr).toContain('Trace: http://jaeger:16686/trace/')
    const wrong = await run({ OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense' })
    expect(wrong.status).toBe(0)
    expect(wrong.stderr.match(/OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL/g)).toHaveLength(1)
  })
})

describe('caesura export', () => {
  it('sends a recorded run again with the same ids and times, whether it was sampled or not', async () => {
    await run({})
    const ended = await caesura(folder, ['export', 'last', '--otlp', sink.url, '--json'])
    expect(JSON.parse(ended.stdout)).toMatchObject({ sent: sink.spans.length, dropped: 0 })
    const first = [...sink.spans]
    expect(problemsOf(first, shapeOfRuns)).toEqual([])
    sink.clear()
    await caesura(folder, ['export', 'last', '--otlp', sink.url])
    const plain = (spans: readonly Span[]) => spans.map(({ resource: _, ...span }) => span)
    expect(plain(sink.spans)).toEqual(plain(first))
  })

  it('refuses what is no address, an unknown run, and says what could not be sent', async () => {
    expect(await caesura(folder, ['export', 'last', '--otlp', 'nonsense'])).toMatchObject({ status: 2 })
    expect(await caesura(folder, ['export', 'nobody', '--otlp', sink.url])).toMatchObject({ status: 2 })
    const impatient = { OTEL_EXPORTER_OTLP_TIMEOUT: '500' }
    const ended = await caesura(folder, ['export', 'last', '--otlp', 'http://127.0.0.1:9'], impatient)
    expect(ended).toMatchObject({ status: 1 })
    expect(ended.stderr).toMatch(/spans can't be sent to http:\/\/127\.0\.0\.1:9/)
  }, 60_000)
})

describe('a model server that traces', () => {
  it('has its own spans below those of the calls, and within their time', async () => {
    const env = toSink()
    const server = startCaesura(folder, ['model-server', '--port', '0', '--json'], env)
    const { url } = JSON.parse(await server.printed('}')) as { url: string }
    const ended = await runOn(env, '--backend', 'ollama', '--url', url, '--model', 'caesura-demo')
    expect(ended).toMatchObject({ status: 0 })
    server.child.kill('SIGTERM')
    await server.ended
    expect(problemsOf(sink.spans, shapeOfRuns)).toEqual([])
    const served = sink.spans.filter(({ kind }) => kind === 'server')
    expect(served).toHaveLength(recordIn(ended).stages.length)
    for (const span of served) {
      const call = sink.spans.find(({ spanId }) => spanId === span.parentSpanId)!
      expect(call.kind).toBe('client')
      expect(span.resource['service.name']).toBe('caesura-model-server')
      expect(span.startTime).toBeGreaterThanOrEqual(call.startTime)
      expect(span.events.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['load-end', 'slot-acquired', 'prefill-end']),
      )
    }
  })
})
