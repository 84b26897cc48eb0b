import { type Attributes, type SpanContext, SpanKind } from '@opentelemetry/api'
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace'
import type { FinishReason } from '../core/call.ts'
import type { CallRecord } from '../core/record.ts'
import { callPart } from '../core/trace.ts'
import { beginningOf } from '../core/well-formed.ts'
import { event, attribute as key } from './semconv.ts'
import { endedSpan, faultOf } from './span.ts'
import type { TraceOfRun } from './trace-of-run.ts'

/** Marks that are the span's own start and end, or say no more than that. */
const silentMarks = new Set(['call-start', 'slot-acquired', 'slot-released', 'settled', 'last-token'])

/** The one span of a call. Intended cancels are no errors: their status is unset, and they have no `error.type`. */
export function callSpan(trace: TraceOfRun, call: CallRecord, stage: SpanContext): ReadableSpan {
  const { timeline, context, resources, record } = trace
  const hasFailed = call.settlement === 'failed'
  const error = faultOf(call.error, trace.longest)
  return endedSpan({
    name: call.model === undefined ? 'say' : `chat ${call.model}`,
    kind: call.model === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT,
    context: context(callPart(call.callId)),
    parent: stage,
    start: timeline.at(slotAt(call) ?? call.startMs),
    end: timeline.at(call.settledMs),
    attributes: {
      ...requestAttributes(call),
      ...resultAttributes(trace, call),
      ...(hasFailed && { [key.errorType]: error.code }),
      ...(hasFailed && error.code === 'CAESURA_E_WORKER_LOST' && { [key.lostWorker]: true }),
    },
    events: eventsOf(trace, call),
    ...(call.retryOf !== undefined && { links: [{ context: context(callPart(call.retryOf)) }] }),
    ...(hasFailed && { error }),
    resource: resources.of(call.process ?? record.owners?.at(-1)),
  })
}

/** As the conventions name them. */
const finishReasons: Readonly<Record<FinishReason, string>> = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_call',
  'content-filter': 'content_filter',
}

const slotAt = ({ marks }: CallRecord): number | undefined => marks.find(({ name }) => name === 'slot-acquired')?.ms

function requestAttributes(call: CallRecord): Attributes {
  const { options = {}, address } = call
  const place = {
    [key.stageId]: call.id,
    [key.callId]: call.callId,
    ...(call.visit !== undefined && { [key.visit]: call.visit }),
    [key.attempt]: call.attempt,
    ...(call.policy !== undefined && { [key.policy]: call.policy }),
  }
  if (call.model === undefined) return place
  return {
    [key.operationName]: 'chat',
    // A call that never had a slot was for no provider yet.
    [key.providerName]: call.backend ?? 'unknown',
    [key.requestModel]: call.model,
    [key.requestStream]: true,
    ...(options.temperature !== undefined && { [key.requestTemperature]: options.temperature }),
    ...(options.maxTokens !== undefined && { [key.requestMaxTokens]: options.maxTokens }),
    ...(options.seed !== undefined && { [key.requestSeed]: options.seed }),
    ...(options.topK !== undefined && { [key.requestTopK]: options.topK }),
    ...(options.topP !== undefined && { [key.requestTopP]: options.topP }),
    ...serverOf(address),
    ...place,
    ...(call.node !== undefined && { [key.node]: call.node }),
  }
}

function resultAttributes({ longest, captureContent }: TraceOfRun, call: CallRecord): Attributes {
  const { tokens, firstTokenMs, text, process } = call
  const slotMs = slotAt(call)
  const content = captureContent &&
    text !== undefined && {
      [key.outputMessages]: JSON.stringify([
        { role: 'assistant', parts: [{ type: 'text', content: beginningOf(text, longest) }] },
      ]),
    }
  if (call.model === undefined) return { [key.settlement]: call.settlement, ...content }
  return {
    [key.settlement]: call.settlement,
    ...(firstTokenMs !== undefined && { [key.responseModel]: call.model }),
    ...(call.finishReason !== undefined && { [key.finishReasons]: [finishReasons[call.finishReason]] }),
    ...(firstTokenMs !== undefined &&
      slotMs !== undefined && { [key.timeToFirstChunk]: Math.max(0, firstTokenMs - slotMs) / 1000 }),
    ...(tokens.prompt !== undefined && { [key.inputTokens]: tokens.prompt }),
    [key.outputTokens]: tokens.generated,
    ...(tokens.thinking !== undefined && { [key.thinkingTokens]: tokens.thinking }),
    ...(tokens.counted !== undefined && { [key.tokensCounted]: tokens.counted }),
    ...(call.toolCalls !== undefined && { [key.toolNames]: call.toolCalls.map(({ name }) => name) }),
    [key.wastedTokens]: tokens.wasted,
    [key.deliveredTokens]: tokens.delivered,
    ...(call.server?.unused !== undefined && { [key.serverUnused]: call.server.unused }),
    ...(call.arrival !== undefined && { [key.arrival]: call.arrival }),
    ...(call.lateLoopMs !== undefined && { [key.lateLoopMs]: call.lateLoopMs }),
    [key.slotMs]: call.slotMs,
    [key.wastedSlotMs]: call.wastedSlotMs,
    ...(process?.clock !== undefined && {
      [key.clockOffset]: process.clock.offsetMs,
      [key.clockError]: process.clock.errorMs,
    }),
    ...content,
  }
}

/** A file is no server. An IPv6 address has its brackets. */
function serverOf(address: string | undefined): Attributes {
  const [, host, port] = /^(\[[^\]]+\]|[^:/\s]+)(?::(\d+))?$/.exec(address ?? '') ?? []
  if (host === undefined || address?.endsWith('.gguf')) return {}
  return { [key.serverAddress]: host, ...(port !== undefined && { [key.serverPort]: Number(port) }) }
}

function eventsOf({ timeline }: TraceOfRun, { marks, sentenceEnds = [], firstTokenMs }: CallRecord): TimedEvent[] {
  const told = [
    ...marks.filter(({ name, ms }) => !silentMarks.has(name) && !(name === 'first-piece' && ms === firstTokenMs)),
    ...sentenceEnds.map((ms) => ({ name: event.sentenceEnd, ms })),
  ].sort((a, b) => a.ms - b.ms)
  return told.map(({ name, ms }) => ({ name, time: timeline.at(ms) }))
}
