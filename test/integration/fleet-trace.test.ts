import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunRecord } from '../../src/core/record.ts'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'
import type { Span } from '../fixtures/otlp/spans.ts'
import { OtlpSink } from '../fixtures/otlp-sink.ts'
import { problemsOf } from '../fixtures/trace-checks.ts'
import { until } from '../fixtures/until.ts'
import { lengthOf, shapeOfRuns } from '../telemetry/sent.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const callerSpan = 'b7ad6b7169203331'

const sink = new OtlpSink()
beforeAll(() => sink.up())
afterAll(() => sink.down())
const fleet = withFleetProcesses({
  get env() {
    return { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces` }
  },
})
let api: string
beforeAll(async () => {
  await fleet.scripted('gpu', 160, 20, '--slots', '2')
  const serving = fleet.start('serve', '--port', '0', '--pipelines', fleet.folder, '--rate', '0', '--json')
  api = (JSON.parse(await serving.printed('}')) as { url: string }).url
  return () => serving.child.kill('SIGKILL')
}, 60_000)

async function ask<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const response = await fetch(`${api}${path}`, {
    method,
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

const tokensOf = async (runId: string): Promise<number> =>
  (await ask<{ seq?: number }>('GET', `/v1/runs/${runId}`)).seq ?? 0
const recordOf = (runId: string) =>
  until(async () => {
    const found = await ask<RunRecord | { status: string }>('GET', `/v1/runs/${runId}`)
    return 'schema' in found ? found : undefined
  })

describe('a run over the API, a pipeline worker that is killed, another one, and a stage worker', () => {
  it('is one trace below its caller’s span: one root, no span open or missing, phases as in the record', async () => {
    const first = await fleet.worker('pipelines')
    const { runId } = await ask<{ runId: string }>(
      'POST',
      '/v1/runs',
      { pipeline: 'two', input: 'hello' },
      { traceparent: `00-${traceId}-${callerSpan}-01`, tracestate: 'vendor=1' },
    )
    await until(async () => (await tokensOf(runId)) > 5)
    first.child.kill('SIGKILL')
    await fleet.worker('pipelines')
    await ask('POST', `/v1/runs/${runId}/interrupts`, { input: 'change' })
    const record = await recordOf(runId)
    const isWhole = () =>
      sink.spans.some(({ name }) => name.startsWith('invoke_workflow')) &&
      sink.spans.some(({ kind }) => kind === 'server')
    await sink.until(isWhole)

    const spans = sink.spans.filter((span) => span.traceId === traceId)
    expect(record).toMatchObject({ traceId, outcome: 'completed', sampled: true, traceState: 'vendor=1' })
    expect(problemsOf(spans, { ...shapeOfRuns, remoteParents: [callerSpan] })).toEqual([])
    expect(servicesOf(spans)).toEqual({
      server: ['caesura-serve'],
      client: ['caesura-stages'],
      internal: ['caesura-pipelines'],
    })
    expect(spans.filter(({ kind }) => kind === 'client')).toHaveLength(record.stages.length)
    const hosts = spans.filter(({ name }) => name === 'host run')
    expect(new Set(hosts.map(({ resource }) => resource['service.instance.id'])).size).toBe(2)
    expect(hosts.flatMap(({ links }) => links)).toHaveLength(1)
    const phases = spans.filter(({ name }) => name.startsWith('phase '))
    const ofRecord = record.interrupts[0]!.phases
    expect(phases.map(({ name }) => name)).toEqual(ofRecord.map(({ name }) => `phase ${name}`))
    expect(phases.map(lengthOf)).toEqual(ofRecord.map(({ ms }) => Math.round(ms * 1e6)))
    // The clocks of these processes are one; what is not known of it is half a round trip to Redis of each.
    const settle = phases.find(({ name }) => name === 'phase settle')!
    expect(settle.attributes['caesura.clock.error_ms']).toBeGreaterThan(0)
  }, 60_000)
})

const servicesOf = (spans: readonly Span[]) =>
  Object.fromEntries(
    Object.entries(Object.groupBy(spans, ({ kind }) => kind)).map(([kind, ofKind]) => [
      kind,
      [...new Set(ofKind!.map(({ resource }) => resource['service.name']))],
    ]),
  )
