import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { handmadeTrace } from '../fixtures/handmade-trace.ts'
import { JaegerQuery } from '../fixtures/jaeger-query.ts'
import { exportSpans } from '../fixtures/otlp/export.ts'
import type { Span } from '../fixtures/otlp/spans.ts'
import { problemsOf } from '../fixtures/trace-checks.ts'

const { JAEGER_QUERY_URL = '', OTEL_EXPORTER_OTLP_ENDPOINT = '' } = process.env
const jaeger = new JaegerQuery(JAEGER_QUERY_URL)
const SECOND = 1_000_000_000n
const now = () => BigInt(Date.now()) * 1_000_000n + 123_457n
const byId = (spans: readonly Span[]) => spans.toSorted((a, b) => (a.spanId < b.spanId ? -1 : 1))

/** Stores a trace whose root has these attributes, and returns what Jaeger has of it. */
async function stored(attributes: Readonly<Record<string, string>>, startTime = now()) {
  const sent = handmadeTrace(startTime, attributes)
  await exportSpans(OTEL_EXPORTER_OTLP_ENDPOINT, sent)
  return { sent, id: sent[0]!.traceId, startTime, got: await jaeger.trace(sent[0]!.traceId, sent.length) }
}

describe('Jaeger', () => {
  it('has a trace as it was sent, to the nanosecond', async () => {
    const { sent, got } = await stored({ 'caesura.run.id': randomUUID() })
    expect(byId(got)).toEqual(byId(sent))
    expect(problemsOf(got)).toEqual([])
  })

  it('has a trace whole whose spans come late and in two requests', async () => {
    const sent = handmadeTrace(now())
    await exportSpans(OTEL_EXPORTER_OTLP_ENDPOINT, sent.slice(4))
    const [early] = await jaeger.trace(sent[0]!.traceId)
    expect(problemsOf([early!])).not.toEqual([])
    await exportSpans(OTEL_EXPORTER_OTLP_ENDPOINT, sent.slice(0, 4), { gzip: true })
    expect(problemsOf(await jaeger.trace(sent[0]!.traceId, sent.length))).toEqual([])
  })

  it('lists the service', async () => {
    await stored({})
    expect(await jaeger.services()).toContain('caesura-test')
  })

  it('finds a run by attributes of its root, by time and by length', async () => {
    const run = randomUUID()
    const { id, startTime } = await stored({ 'caesura.run.id': run, 'caesura.variant': 'a' })
    await stored({ 'caesura.run.id': run, 'caesura.variant': 'b' })
    const search = { service: 'caesura-test', from: startTime - SECOND, to: startTime + SECOND }
    const ids = async (more: object) => [...(await jaeger.find({ ...search, ...more })).keys()]
    expect(await ids({ attributes: { 'caesura.run.id': run } })).toHaveLength(2)
    expect(await ids({ attributes: { 'caesura.run.id': run, 'caesura.variant': 'a' } })).toEqual([id])
    // Of one span: no span has both.
    expect(await ids({ attributes: { 'caesura.run.id': run, 'caesura.settlement': 'aborted' } })).toEqual([])
    expect(await ids({ longerThan: '399ms', operation: 'invoke_workflow draft-and-fill' })).toContain(id)
    expect(await ids({ longerThan: '401ms' })).not.toContain(id)
    expect(await ids({ from: startTime + SECOND, to: startTime + 2n * SECOND })).not.toContain(id)
  })

  it('has nothing of a trace that it never got', async () => {
    const search = { service: 'no-such-service', from: 0n, to: now() }
    expect(await jaeger.find(search)).toEqual(new Map())
  })

  it('refuses a search without a time', async () => {
    const response = await fetch(`${JAEGER_QUERY_URL}/api/v3/traces?query.serviceName=caesura-test`)
    expect(response.status).toBe(400)
  })
})
