import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunRecord } from '../../src/core/record.ts'
import { spanCount } from '../../src/telemetry/run-spans.ts'
import { caesura, examplePipeline } from '../cli/caesura.ts'
import { JaegerQuery } from '../fixtures/jaeger-query.ts'
import { problemsOf } from '../fixtures/trace-checks.ts'
import { lengthOf, shapeOfRuns } from '../telemetry/sent.ts'

const { JAEGER_QUERY_URL = '', OTEL_EXPORTER_OTLP_ENDPOINT = '' } = process.env
const jaeger = new JaegerQuery(JAEGER_QUERY_URL)
const env = { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRICS_EXPORTER: 'none', CAESURA_JAEGER_URL: JAEGER_QUERY_URL }

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-jaeger-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(policy: string): Promise<{ record: RunRecord; stderr: string }> {
  const ended = await caesura(
    folder,
    [
      ...['run', examplePipeline, '--input', 'How do I descale a kettle?', '--json', '--policy', policy],
      ...['--backend', 'embedded'],
      ...['--interrupt', 'tokens=12:I have no vinegar.'],
    ],
    env,
  )
  expect(ended.status, ended.stderr).toBe(0)
  return { record: JSON.parse(ended.stdout) as RunRecord, stderr: ended.stderr }
}

describe('a run in Jaeger', () => {
  it('is the whole trace, at the link that was printed, with the phases of the record to the nanosecond', async () => {
    const { record, stderr } = await run('{ response: abort, carry: all }')
    const link = /Trace: (\S+)/.exec(stderr)?.[1] ?? ''
    expect(link).toBe(`${JAEGER_QUERY_URL}/trace/${record.traceId}`)
    const spans = await jaeger.trace(record.traceId, spanCount(record))
    expect(problemsOf(spans, shapeOfRuns)).toEqual([])
    const phases = spans
      .filter(({ name }) => name.startsWith('phase '))
      .sort((a, b) => Number(a.startTime - b.startTime))
    expect(phases.map(({ name, ...span }) => [name, lengthOf({ name, ...span })])).toEqual(
      record.interrupts[0]!.phases.map(({ name, ms }) => [`phase ${name}`, Math.round(ms * 1e6)]),
    )
  })

  it('is found by policy, decision and settlement, and by how long its interrupt took', async () => {
    const { record } = await run('let-finish')
    await jaeger.trace(record.traceId, spanCount(record))
    const start = BigInt(Math.floor(record.startedUnixMs!)) * 1_000_000n
    const search = { service: 'caesura', from: start - 1_000_000_000n, to: start + 60_000_000_000n }
    const ids = async (more: object) => [...(await jaeger.find({ ...search, ...more })).keys()]
    const attributes = { 'caesura.policy': 'let-finish', 'caesura.decision': 'drain', 'caesura.settlement': 'drained' }
    expect(await ids({ attributes })).toContain(record.traceId)
    expect(await ids({ attributes: { ...attributes, 'caesura.decision': 'abort' } })).not.toContain(record.traceId)
    const ms = Math.floor(record.interrupts[0]!.toFirstTokenMs!)
    expect(await ids({ operation: 'interrupt', longerThan: `${ms}ms` })).toContain(record.traceId)
  })

  it('is shown once, however often its record is exported', async () => {
    const { record } = await run('{ response: abort }')
    const first = await jaeger.trace(record.traceId, spanCount(record))
    const { status } = await caesura(folder, ['export', record.runId, '--otlp', OTEL_EXPORTER_OTLP_ENDPOINT])
    expect(status).toBe(0)
    // Its store keeps both copies, and what is looked at has one of each.
    await jaeger.trace(record.traceId, 2 * first.length)
    const ids = (await jaeger.trace(record.traceId, 1, true)).map(({ spanId }) => spanId)
    expect(ids.sort()).toEqual(first.map(({ spanId }) => spanId).sort())
  })
})
