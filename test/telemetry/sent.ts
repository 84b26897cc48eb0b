import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { RunRecord } from '../../src/core/record.ts'
import { Resources } from '../../src/telemetry/resources.ts'
import { runSpans } from '../../src/telemetry/run-spans.ts'
import type { SpanSettings } from '../../src/telemetry/trace-of-run.ts'
import type { Span } from '../fixtures/otlp/spans.ts'
import { OtlpSink } from '../fixtures/otlp-sink.ts'
import type { TraceShape } from '../fixtures/trace-checks.ts'

export const spanSettings: SpanSettings = {
  resources: new Resources({ service: 'caesura', instance: 'here', version: '0.0.0' }),
  longest: 1024,
  captureContent: false,
}

/** Spans as a collector gets them: through the exporter, protobuf and HTTP. */
export async function openWire(): Promise<{
  spansOf(record: RunRecord, settings?: Partial<SpanSettings>): Promise<Span[]>
  close(): Promise<void>
}> {
  const sink = new OtlpSink()
  await sink.up()
  const exporter = new OTLPTraceExporter({ url: `${sink.url}/v1/traces` })
  const send = (spans: ReadableSpan[]) =>
    new Promise<void>((resolve, reject) =>
      exporter.export(spans, ({ error }) => (error === undefined ? resolve() : reject(error))),
    )
  return {
    async spansOf(record, settings) {
      sink.clear()
      await send(runSpans(record, { ...spanSettings, ...settings }))
      return [...sink.spans]
    },
    async close() {
      await exporter.shutdown()
      await sink.down()
    },
  }
}

/** Only calls settle; an interrupt says what became of its call. One without a next first token has no phases. */
export const shapeOfRuns: TraceShape = {
  settlementOf: ({ kind, attributes }) => (kind === 'client' ? attributes['caesura.settlement'] : undefined),
  mayLackPhases: ({ attributes }) => !attributes['caesura.interrupt.to_first_token_ms'],
}

export const named = (spans: readonly Span[], name: string): Span => {
  const found = spans.filter((span) => span.name === name)
  if (found.length !== 1) throw new Error(`${found.length} spans are named ${name}`)
  return found[0]!
}

export const lengthOf = ({ startTime, endTime }: Span): number => Number(endTime - startTime)
