import { context, propagation, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CallRequest } from '../../src/core/call.ts'
import { createEngine, definePipeline, scripted } from '../../src/index.ts'

const exporter = new InMemorySpanExporter()
const sdk = new NodeSDK({
  spanProcessors: [new SimpleSpanProcessor({ exporter })],
  metricReaders: [],
  logRecordProcessors: [],
})
beforeAll(() => sdk.start())
afterEach(() => exporter.reset())
afterAll(() => sdk.shutdown())

const pipeline = definePipeline({ name: 'p', stages: [{ id: 'draft', model: 'm', prompt: '{{ input }}' }] })
const tracer = trace.getTracer('a program')

/** An engine whose calls start a span of their own, as instrumentation of their requests would. */
function instrumentedEngine() {
  const asked: CallRequest[] = []
  const node = scripted({ name: 'n', slots: 4, script: { tokens: ['a', ' b'], firstTokenMs: 1, tokenMs: 1 } })
  const backend: typeof node.backend = {
    ...node.backend,
    generate(request, told) {
      asked.push(request)
      return tracer.startActiveSpan('POST /api/chat', async (span) => {
        await null
        span.end()
        return node.backend.generate(request, told)
      })
    },
  }
  return { engine: createEngine({ nodes: [{ ...node, backend }] }), asked }
}

describe('a run in a program that traces', () => {
  it('is below the span that is active where it is started, with its baggage', async () => {
    const { engine, asked } = instrumentedEngine()
    const { span, record } = await tracer.startActiveSpan('work', async (active) => {
      const baggage = propagation.createBaggage({ user: { value: 'x y' } })
      const started = context.with(propagation.setBaggage(context.active(), baggage), () =>
        engine.start(pipeline, { input: 'question' }),
      )
      const ended = await started.result
      active.end()
      return { span: active.spanContext(), record: ended }
    })
    expect(record).toMatchObject({ traceId: span.traceId, parentSpanId: span.spanId })
    expect(asked[0]!.trace!.traceparent).toMatch(new RegExp(`^00-${span.traceId}-[0-9a-f]{16}-01$`))
    expect(asked[0]!.trace!.baggage).toBe('user=x%20y')
    // What its request sends is the call's: a second span of the same thing would send a second traceparent.
    await expect.poll(() => exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['work'])
    await engine.close()
  })

  it('is part of the trace that it is given, where it is given one', async () => {
    const { engine } = instrumentedEngine()
    const given = { traceId: '0af7651916cd43dd8448eb211c80319c' }
    const record = await tracer.startActiveSpan('work', async (active) => {
      const { result } = engine.start(pipeline, { input: 'question', trace: given })
      active.end()
      return result
    })
    expect(record.traceId).toBe(given.traceId)
    await engine.close()
  })

  it('is not sampled where its span is not, and begins a trace where none is active', async () => {
    const { engine } = instrumentedEngine()
    const left = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.NONE,
    })
    const unsampled = await context.with(left, () => engine.start(pipeline, { input: 'question' })).result
    expect(unsampled).toMatchObject({ parentSpanId: 'b7ad6b7169203331', sampled: false })
    const alone = await engine.start(pipeline, { input: 'question' }).result
    expect(alone).not.toHaveProperty('parentSpanId')
    expect(alone).not.toHaveProperty('sampled')
    await engine.close()
  })
})
