import { type Activity, activityAt, markOf } from '../../core/activity.ts'
import { present } from '../../core/present.ts'
import type { CallRecord, InterruptRecord, PhaseName, RunRecord } from '../../core/record.ts'
import { type AbortLag, abortLagOf, type Beside, recordedLags } from './abort-lag.ts'

interface Saving {
  /** The phase that it would have been shorter by; never more than that phase, never negative. */
  readonly phase: PhaseName
  readonly savedMs: number
  /** Present where it may have been less: something that the record does not hold would have had a part in it. */
  readonly atMost?: true
}

/**
 * What would have been different, and what shows it. Each takes the other phases to be as long as they were. Times in ms.
 * There is none where the record, and what lies beside it, does not support one.
 */
export type Alternative =
  /** The call that was let run on had been cancelled at the interrupt. */
  | (Saving & {
      readonly kind: 'abort'
      /** Absent where the policy cancelled the call later: then its own cancel shows what one takes. */
      readonly lag?: AbortLag
      /** How long the cancel took that came in the end. */
      readonly ownLagMs?: number
      /** Slot time that it would have thrown away, at most. Absent where that is not known. */
      readonly wastedSlotMs?: number
    })
  /** The next call had been sent without waiting for the cancel. */
  | (Saving & {
      readonly kind: 'overlap'
      readonly evidence: 'other-node' | 'two-calls-at-once'
      readonly node: string
    })
  /** A slot, or a worker, had been free. `holder`: the call of this run that held the slot. */
  | (Saving & { readonly kind: 'free-slot' | 'free-worker'; readonly holder?: string })
  /** The model had been loaded during the call before. */
  | (Saving & { readonly kind: 'warm-load'; readonly source: 'observed' | 'inferred'; readonly ranMs: number })
  /** A connection had been open. */
  | (Saving & { readonly kind: 'open-connection' })

/** Why nothing is said of an abort. */
export interface Unknown {
  readonly kind: 'abort'
  readonly node: string
  readonly model: string
  readonly during: Activity
  /** Recorded cancels of such calls; too few. */
  readonly n: number
}

/** What changes less than both of these is not worth a line. */
const SMALL_MS = 1
const SMALL_SHARE = 0.01

/** One interrupt, with what its alternatives are read from. */
interface Case {
  readonly interrupt: InterruptRecord
  /** The interrupted call, which the next one waited for. */
  readonly old: CallRecord
  readonly next: CallRecord
  readonly stages: readonly CallRecord[]
  /** The length of a phase; 0 where it did not happen, or was too short to matter. */
  readonly worth: (name: PhaseName) => number
}

/** What would have been different at this interrupt, in the order of its phases, and what cannot be said. */
export function alternativesOf(
  interrupt: InterruptRecord,
  { stages }: RunRecord,
  beside: Beside,
): { alternatives: Alternative[]; unknown: Unknown[] } {
  const { toFirstTokenMs: total, fromCall, toCall } = interrupt
  const old = stages.find(({ callId }) => callId === fromCall)
  const next = stages.find(({ callId }) => callId === toCall)
  // A call that failed was tried again: then it is not known which attempt the next call waited for.
  if (total === undefined || old === undefined || next === undefined || old.settlement === 'failed')
    return { alternatives: [], unknown: [] }
  const worth = (name: PhaseName) => {
    const ms = interrupt.phases.find((phase) => phase.name === name)?.ms ?? 0
    return ms >= SMALL_MS && ms >= total * SMALL_SHARE ? ms : 0
  }
  const found: Case = { interrupt, old, next, stages, worth }
  const abort = abortAtOnce(found, beside)
  const rest = [overlap(found), freeWorker(found), freeSlot(found), openConnection(found), warmLoad(found)]
  const told = abort !== undefined && 'savedMs' in abort ? abort : undefined
  return {
    alternatives: [told, ...rest].filter((alternative) => alternative !== undefined),
    unknown: abort !== undefined && told === undefined ? [abort as Unknown] : [],
  }
}

/** The drain, less what a cancel takes. */
function abortAtOnce({ interrupt, old, worth }: Case, beside: Beside): Alternative | Unknown | undefined {
  const drainMs = worth('drain')
  const { node, model } = old
  if (drainMs === 0 || node === undefined || model === undefined || markOf(old, 'settled') === undefined)
    return undefined
  const during = activityAt(old, interrupt.at)
  const cancelledAt = markOf(old, 'abort-requested')
  const settleMs = interrupt.phases.find(({ name }) => name === 'settle')?.ms ?? 0
  // What was done ahead during the drain would not all have been done.
  const warmed = old.warmed?.outcome === 'loaded' || old.warmed?.outcome === 'prefilled'
  const base = { kind: 'abort' as const, phase: 'drain' as const, ...(warmed && { atMost: true as const }) }
  if (cancelledAt !== undefined && activityAt(old, cancelledAt) === during)
    return { ...base, savedMs: drainMs, ownLagMs: settleMs }
  const lag = abortLagOf(old, during, beside)
  if (lag === undefined)
    return { kind: 'abort', node, model, during, n: recordedLags(old, during, beside.records).length }
  const savedMs = Math.min(drainMs, Math.max(0, drainMs + settleMs - lag.ms))
  const wastedSlotMs = cancelledAt === undefined ? mostWasted(interrupt, old, lag.ms) : undefined
  return { ...base, savedMs, lag, ...present({ wastedSlotMs }) }
}

/** Without the instants of single tokens it is known only that no more than all slot time so far is thrown away. */
function mostWasted({ at, carry }: InterruptRecord, old: CallRecord, lagMs: number): number | undefined {
  const slotAt = markOf(old, 'slot-acquired')
  // What had come would have been carried on.
  if (carry === 'all' || slotAt === undefined || slotAt > at) return undefined
  return at - slotAt + lagMs
}

/** Hides the cancel, if there was a second slot to go to: the next call waits for the same one otherwise. */
function overlap({ old, next, stages, worth }: Case): Alternative | undefined {
  const settleMs = worth('settle')
  // After a drain the overlap could have come at once: that would be another policy.
  if (settleMs === 0 || worth('drain') > 0 || worth('slot') > 0 || worth('queue') > 0) return undefined
  const second = secondSlot(old, next, stages)
  return second && { kind: 'overlap', phase: 'settle', savedMs: settleMs, atMost: true, ...second }
}

/** What shows that the next call had not to wait for the old one's slot; whether the second one was free just then is not known. */
function secondSlot(
  old: CallRecord,
  next: CallRecord,
  stages: readonly CallRecord[],
): { evidence: 'other-node' | 'two-calls-at-once'; node: string } | undefined {
  if (old.node === undefined || next.node === undefined) return undefined
  if (next.node !== old.node) return { evidence: 'other-node', node: next.node }
  const held = stages.flatMap((call) => {
    const from = markOf(call, 'slot-acquired')
    const to = markOf(call, 'slot-released') ?? markOf(call, 'settled')
    return call.node === old.node && from !== undefined && to !== undefined ? [{ from, to }] : []
  })
  const atOnce = held.some((a, index) => held.slice(index + 1).some((b) => a.from < b.to && b.from < a.to))
  return atOnce ? { evidence: 'two-calls-at-once', node: old.node } : undefined
}

function freeWorker({ worth }: Case): Alternative | undefined {
  const savedMs = worth('queue')
  return savedMs === 0 ? undefined : { kind: 'free-worker', phase: 'queue', savedMs, atMost: true }
}

/** At most: on another node the model might have had to be loaded. */
function freeSlot({ next, stages, worth }: Case): Alternative | undefined {
  const savedMs = worth('slot')
  if (savedMs === 0) return undefined
  const acquiredAt = markOf(next, 'slot-acquired')
  const holder = stages.findLast((call) => {
    const releasedAt = markOf(call, 'slot-released')
    return (
      call !== next &&
      call.node === next.node &&
      acquiredAt !== undefined &&
      releasedAt !== undefined &&
      releasedAt <= acquiredAt &&
      releasedAt > acquiredAt - savedMs
    )
  })
  return { kind: 'free-slot', phase: 'slot', savedMs, atMost: true, ...(holder && { holder: holder.id }) }
}

function openConnection({ next, worth }: Case): Alternative | undefined {
  const phaseMs = worth('connect')
  const [from, to] = [markOf(next, 'connect-start'), markOf(next, 'connected')]
  if (phaseMs === 0 || from === undefined || to === undefined) return undefined
  return { kind: 'open-connection', phase: 'connect', savedMs: Math.min(phaseMs, Math.max(0, to - from)) }
}

/** Only where the call before left enough time, and the load did not have to wait for its slot. */
function warmLoad({ interrupt, old, next, stages, worth }: Case): Alternative | undefined {
  const savedMs = worth('load')
  const slotAt = markOf(old, 'slot-acquired')
  if (savedMs === 0 || slotAt === undefined || old.model === next.model || old.warmed !== undefined) return undefined
  const ranMs = interrupt.at - slotAt
  if (ranMs < savedMs || secondSlot(old, next, stages) === undefined) return undefined
  const source = interrupt.phases.find(({ name }) => name === 'load')!.source
  return { kind: 'warm-load', phase: 'load', savedMs, atMost: true, source, ranMs }
}
