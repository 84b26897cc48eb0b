import type { Attributes } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { CallRecord, InterruptRecord, Phase, RunRecord } from '../core/record.ts'
import { callPart } from '../core/trace.ts'
import { beginningOf } from '../core/well-formed.ts'
import { attribute as key } from './semconv.ts'
import { endedSpan } from './span.ts'
import type { TraceOfRun } from './trace-of-run.ts'

/** Phases that end with a mark of the call's worker, which may have another clock than the run's owner. */
const crossing: ReadonlySet<Phase['name']> = new Set(['drain', 'settle', 'queue', 'slot', 'connect', 'send'])

/** What was neither refused nor taken over by a newer signal. */
export const isHandled = ({ suppressed, superseded }: InterruptRecord): boolean => !suppressed && !superseded

/** The handled interrupt that waited longest for its next first token; the first one where none had any. */
export function slowestOf(interrupts: readonly InterruptRecord[]): InterruptRecord | undefined {
  const handled = interrupts.filter(isHandled)
  return handled.reduce<InterruptRecord | undefined>(
    (slowest, next) => ((next.toFirstTokenMs ?? -1) > (slowest?.toFirstTokenMs ?? -1) ? next : (slowest ?? next)),
    undefined,
  )
}

/**
 * An interrupt and its phases, which fill it without a gap: to the nanosecond as the record has them, one after the other in the
 * record's order. None for a signal that was refused or taken over: those are events of the run.
 */
export function interruptSpans(trace: TraceOfRun, interrupt: InterruptRecord, index: number): ReadableSpan[] {
  if (!isHandled(interrupt)) return []
  const { record, timeline, context, root, resources } = trace
  const resource = resources.of(record.owners?.at(-1))
  const from = record.stages.find(({ callId }) => callId === interrupt.fromCall)
  const to = record.stages.find(({ callId }) => callId === interrupt.toCall)
  const self = context(`interrupt ${index}`)
  const { at, toFirstTokenMs, phases } = interrupt
  const parent = endedSpan({
    name: 'interrupt',
    context: self,
    parent: root,
    start: timeline.at(at),
    end: timeline.at(toFirstTokenMs === undefined ? Math.max(at, from?.settledMs ?? at) : at + toFirstTokenMs),
    attributes: interruptAttributes(trace, interrupt, index, from),
    links: [from, to].flatMap((call) => (call === undefined ? [] : [{ context: context(callPart(call.callId)) }])),
    resource,
  })
  const clock = clockOf(record, from, to)
  let startMs = at
  const children = phases.map((phase) => {
    // Whole nanoseconds, so that the sum stays exact.
    const endMs = (Math.round(startMs * 1e6) + Math.round(phase.ms * 1e6)) / 1e6
    const span = endedSpan({
      name: `phase ${phase.name}`,
      context: context(`interrupt ${index} ${phase.name}`),
      parent: self,
      start: timeline.at(startMs),
      end: timeline.at(endMs),
      attributes: {
        [key.phase]: phase.name,
        [key.phaseSource]: phase.source,
        [key.phaseMs]: phase.ms,
        ...(phase.candidates !== undefined && { [key.phaseCandidates]: phase.candidates }),
        ...(crossing.has(phase.name) && clock),
      },
      resource,
    })
    startMs = endMs
    return span
  })
  return [parent, ...children]
}

function interruptAttributes(
  { longest }: TraceOfRun,
  interrupt: InterruptRecord,
  index: number,
  from: CallRecord | undefined,
): Attributes {
  const { to, toFirstTokenMs, toFirstTokenFromSignalMs: fromSignalMs, toSilenceMs } = interrupt
  return {
    [key.interruptIndex]: index,
    [key.trigger]: interrupt.trigger,
    [key.response]: interrupt.response,
    [key.decision]: interrupt.decision,
    [key.reason]: beginningOf(interrupt.reason, longest),
    [key.carry]: interrupt.carry,
    [key.interruptFrom]: interrupt.from,
    ...(to !== undefined && { [key.interruptTo]: to }),
    ...(from?.policy !== undefined && { [key.policy]: from.policy }),
    ...(from !== undefined && { [key.settlement]: from.settlement, [key.wastedTokens]: from.tokens.wasted }),
    ...(toFirstTokenMs !== undefined && { [key.toFirstToken]: toFirstTokenMs }),
    ...(fromSignalMs !== undefined && { [key.signalToFirstToken]: fromSignalMs }),
    ...(toSilenceMs !== undefined && { [key.toSilence]: toSilenceMs }),
  }
}

/** How far the clocks of the run's owner and of the calls' workers may be apart. Empty where all of it was one process. */
function clockOf({ owners }: RunRecord, ...calls: (CallRecord | undefined)[]): Attributes {
  const workers = calls.flatMap((call) => call?.process?.clock ?? [])
  const owner = owners?.at(-1)?.clock
  if (owner === undefined || workers.length === 0) return {}
  const worst = workers.reduce((a, b) => (b.errorMs > a.errorMs ? b : a))
  return { [key.clockOffset]: worst.offsetMs - owner.offsetMs, [key.clockError]: worst.errorMs + owner.errorMs }
}
