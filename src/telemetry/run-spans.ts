import { type Attributes, type Link, TraceFlags } from '@opentelemetry/api'
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace'
import { callsOf } from '../core/call-names.ts'
import type { ExperimentArm, InterruptRecord, ProcessRecord, RunRecord } from '../core/record.ts'
import { beginningOf } from '../core/well-formed.ts'
import { callSpan } from './call-spans.ts'
import { interruptSpans, isHandled, slowestOf } from './interrupt-spans.ts'
import { event, attribute as key } from './semconv.ts'
import { endedSpan, faultOf } from './span.ts'
import { type SpanSettings, type TraceOfRun, traceOf } from './trace-of-run.ts'

/**
 * All spans of a run that has ended: exactly one a call, whatever became of it. Ids and times depend on the record alone, so that
 * a second export gives the same ones. Without the zero of its times (a record of an older version) a run starts at the ms that it names.
 */
export function runSpans(record: RunRecord, settings: SpanSettings): ReadableSpan[] {
  const trace = traceOf(record, settings)
  return [
    rootSpan(trace),
    ...ownerSpans(trace),
    ...stageSpans(trace),
    ...record.interrupts.flatMap((interrupt, index) => interruptSpans(trace, interrupt, index + 1)),
  ]
}

/** How many spans `runSpans` makes of a record. */
export function spanCount({ stages, interrupts, owners = [] }: RunRecord): number {
  const ofOwners = owners.length > 1 ? owners.length : 0
  const visits = stages.filter(({ retryOf }) => retryOf === undefined).length
  const ofInterrupts = interrupts.filter(isHandled).reduce((sum, { phases }) => sum + 1 + phases.length, 0)
  return 1 + ofOwners + visits + stages.length + ofInterrupts
}

function rootSpan(trace: TraceOfRun): ReadableSpan {
  const { record, timeline, root } = trace
  const { parentSpanId, error } = record
  return endedSpan({
    name: `invoke_workflow ${record.pipeline}`,
    context: root,
    ...(parentSpanId !== undefined && {
      parent: { traceId: record.traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED, isRemote: true },
    }),
    start: timeline.at(0),
    end: timeline.at(record.durationMs),
    attributes: rootAttributes(trace),
    events: [
      ...record.interrupts.map((interrupt, index) => interruptEvent(trace, interrupt, index + 1)),
      ...exposureEvents(trace),
    ],
    ...(record.outcome === 'failed' && { error: faultOf(error, trace.longest) }),
    resource: trace.resources.of(record.owners?.at(-1)),
  })
}

/** A search looks at one span at a time: what runs are searched by stands on the root, of the slowest interrupt where there are several. */
function rootAttributes({ record, longest }: TraceOfRun): Attributes {
  const { cost, experiment, interrupts, stages, owners, error, cancelReason } = record
  const slowest = slowestOf(interrupts)
  const interrupted = slowest && stages.find(({ callId }) => callId === slowest.fromCall)
  return {
    [key.operationName]: 'invoke_workflow',
    [key.workflowName]: record.pipeline,
    [key.runId]: record.runId,
    [key.outcome]: record.outcome,
    ...(stages[0]?.policy !== undefined && { [key.policy]: stages[0].policy }),
    [key.interrupts]: interrupts.filter(({ suppressed }) => suppressed === undefined).length,
    ...(slowest !== undefined && {
      [key.response]: slowest.response,
      [key.decision]: slowest.decision,
      [key.trigger]: slowest.trigger,
      ...(interrupted !== undefined && { [key.settlement]: interrupted.settlement }),
      ...(slowest.toFirstTokenMs !== undefined && { [key.toFirstToken]: slowest.toFirstTokenMs }),
    }),
    ...(experiment !== undefined && {
      ...flagOf(experiment),
      [key.flagReason]: 'split',
      [key.flagProvider]: 'caesura',
      ...(experiment.exposedMs !== undefined && { [key.exposed]: true }),
      ...(experiment.session !== undefined && {
        [key.flagContext]: experiment.session,
        [key.conversationId]: experiment.session,
      }),
    }),
    ...(owners !== undefined && owners.length > 1 && { [key.resumed]: true }),
    ...(record.outcome === 'failed' && { [key.errorType]: faultOf(error, 0).code }),
    ...(cancelReason !== undefined && { [key.cancelReason]: beginningOf(cancelReason, longest) }),
    [key.generatedTokens]: cost.generatedTokens,
    [key.wastedTokens]: cost.wastedTokens,
    [key.slotMs]: cost.slotMs,
    [key.wastedSlotMs]: cost.wastedSlotMs,
  }
}

function interruptEvent(trace: TraceOfRun, interrupt: InterruptRecord, index: number): TimedEvent {
  const { superseded, suppressed, input } = interrupt
  return {
    name: suppressed ? event.suppressed : superseded ? event.superseded : event.interrupted,
    time: trace.timeline.at(interrupt.at),
    attributes: {
      [key.interruptIndex]: index,
      [key.trigger]: interrupt.trigger,
      ...(!isHandled(interrupt) && { [key.reason]: beginningOf(interrupt.reason, trace.longest) }),
      ...(trace.captureContent && input !== undefined && { [key.interruptInput]: beginningOf(input, trace.longest) }),
    },
  }
}

const flagOf = ({ name, arm }: ExperimentArm): Attributes => ({ [key.flagKey]: name, [key.flagVariant]: arm })

const exposureEvents = ({ record: { experiment }, timeline }: TraceOfRun): TimedEvent[] =>
  experiment?.exposedMs === undefined
    ? []
    : [{ name: event.exposed, time: timeline.at(experiment.exposedMs), attributes: flagOf(experiment) }]

/** A run that stayed where it was is hosted by its own span. */
function ownerSpans({ record, timeline, context, root, resources }: TraceOfRun): ReadableSpan[] {
  const owners = record.owners ?? []
  if (owners.length < 2) return []
  return owners.map((owner, index) => {
    const links: Link[] = index === 0 ? [] : [{ context: context(`owner ${index - 1}`) }]
    return endedSpan({
      name: 'host run',
      context: context(`owner ${index}`),
      parent: root,
      start: timeline.at(owner.fromMs),
      end: timeline.at(Math.max(owner.fromMs, owners[index + 1]?.fromMs ?? record.durationMs)),
      attributes: { [key.runId]: record.runId, ...(index > 0 && { [key.resumed]: true }), ...clockOf(owner) },
      links,
      resource: resources.of(owner),
    })
  })
}

const clockOf = ({ clock }: ProcessRecord): Attributes =>
  clock === undefined ? {} : { [key.clockOffset]: clock.offsetMs, [key.clockError]: clock.errorMs }

/** A stage that was entered, with all calls that it took: retries and fallbacks follow the first one. */
function stageSpans(trace: TraceOfRun): ReadableSpan[] {
  const { record, timeline, root, context, resources } = trace
  const visits = Map.groupBy(callsOf(record), ({ id, visit }) => `${id} ${visit}`)
  return [...visits.values()].flatMap((calls) => {
    const [first, last] = [calls[0]!, calls.at(-1)!]
    const stage = context(`stage ${first.callId}`)
    const span = endedSpan({
      name: `stage ${first.id}`,
      context: stage,
      parent: root,
      start: timeline.at(first.startMs),
      end: timeline.at(Math.max(...calls.map((call) => call.settledMs))),
      attributes: {
        [key.stageId]: first.id,
        [key.settlement]: last.settlement,
        [key.attempts]: calls.length,
        ...(first.policy !== undefined && { [key.policy]: first.policy }),
        ...(last.warmed !== undefined && { [key.warmed]: last.warmed.outcome }),
        ...(last.settlement === 'failed' && { [key.errorType]: faultOf(last.error, 0).code }),
      },
      ...(last.settlement === 'failed' && { error: faultOf(last.error, trace.longest) }),
      resource: resources.of(record.owners?.at(-1)),
    })
    return [span, ...calls.map((call) => callSpan(trace, call, stage))]
  })
}
