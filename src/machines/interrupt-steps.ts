import { type Nanoseconds, nsToMs } from '../core/clock.ts'
import type { SignalAnswer } from '../core/engine.ts'
import { tellExposure } from '../core/exposure.ts'
import type { InterruptEntry } from '../core/journal.ts'
import type { Stage } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import { pauseDelivery, releaseDelivery } from './delivery.ts'
import { keptOf, responseOf } from './environment.ts'
import type { InterruptOrder, InterruptOrders } from './interrupt.ts'
import type { Entry, Handling, PendingSignal, RunDraft } from './run-draft.ts'
import { commit, enter, passBoundary, placedOf } from './stage-steps.ts'
import { openTurns, settleTurns } from './turn-steps.ts'

/** Interrupts the current call, or supersedes the interrupt that is being handled. */
export function interrupt(draft: RunDraft, trigger: string, signal: Omit<PendingSignal, 'at'> = {}): void {
  const { input, ticket, own } = signal
  const answer = answerOf(draft, ticket)
  const { journal, pipeline } = draft.environment
  const { current, handling, lastInterrupt } = draft.context
  const from = handling?.from ?? current!
  if (journal.interrupts.filter(({ suppressed }) => !suppressed).length >= pipeline.maxInterrupts) {
    answer?.({ accepted: false, reason: `the run has answered ${pipeline.maxInterrupts} interrupts already` })
    const message = `the run was interrupted more than ${pipeline.maxInterrupts} times (maxInterrupts)`
    draft.end({ outcome: 'failed', error: { code: 'CAESURA_E_TOO_MANY_INTERRUPTS', message }, answerCall: from.callId })
    return
  }
  const at = journal.now()
  const since = waitsSince(draft, signal)
  const entry = openInterrupt(draft, from, {
    ...{ trigger, at },
    ...(since !== undefined && since < at && { firstSignalAt: since }),
    ...(input !== undefined && { input }),
    ...(own !== undefined && { own }),
  })
  tellExposure(journal, { callId: from.callId, interrupt: entry.id })
  if (answer !== undefined) entry.answer = answer
  if (ticket !== undefined) entry.ticket = ticket
  const call = journal.call(from.callId)
  call.ledger.set('interrupt', at)
  call.interrupted = true
  // A newer signal without input does not take the older one's input away.
  const newest = input ?? (handling === null ? undefined : lastInterrupt?.input)
  draft.update({ lastInterrupt: { ...(newest !== undefined && { input: newest }), at: nsToMs(at) } })
  if (handling !== null) {
    supersede(draft, handling, entry.id)
    return
  }
  const actor = `interrupt.${entry.id}`
  const { response, carry } = draft.stage(from.stage).policy
  const listens = responseOf(draft.environment, response.name).on
  call.listening = listens?.token !== undefined || listens?.sentenceEnd !== undefined
  draft.update({ handling: { actor, id: entry.id, from, to: null } })
  draft.effects.push({ do: 'interrupt', input: { actor, callId: from.callId, response, carry, at } })
}

/** When the wait of whoever sent the signal began: with the first one that has had no answer yet. What a trigger brought is no signal. */
function waitsSince(
  { environment, context }: RunDraft,
  { since }: Pick<PendingSignal, 'since'>,
): Nanoseconds | undefined {
  const older = context.handling === null ? undefined : environment.journal.interrupt(context.handling.id)
  return older?.trigger === 'signal' ? (older.firstSignalAt ?? older.at) : since
}

/** Writes an interrupt of this call into the journal, and tells of it. */
export function openInterrupt(
  draft: RunDraft,
  { stage, callId }: Entry,
  signal: Pick<InterruptEntry, 'trigger' | 'at' | 'firstSignalAt' | 'input' | 'own'>,
): InterruptEntry {
  const { journal } = draft.environment
  const { policy } = draft.stage(stage)
  const entry: InterruptEntry = {
    id: journal.interrupts.length + 1,
    fromCall: callId,
    ...signal,
    response: policy.response.name,
    carry: policy.carry,
    superseded: false,
  }
  journal.interrupts.push(entry)
  const { trigger, input } = signal
  journal.tell({ type: 'interrupt-signal', stage, callId, interrupt: entry.id, trigger, ...present({ input }) })
  return entry
}

/** Who waits to hear of the signal with this ticket; asked once. */
export function answerOf(
  { environment: { tickets } }: RunDraft,
  ticket: number | undefined,
): ((answer: SignalAnswer) => void) | undefined {
  if (ticket === undefined) return undefined
  const answer = tickets.get(ticket)
  tickets.delete(ticket)
  return answer
}

/** The newest input wins; the response's clock goes on. */
function supersede(draft: RunDraft, handling: Handling, id: number): void {
  const { journal } = draft.environment
  const older = journal.interrupt(handling.id)
  older.superseded = true
  delete older.toCall
  draft.update({ handling: { ...handling, id } })
  older.answer?.({ accepted: true, decision: 'superseded', reason: 'a newer signal took its place', superseded: true })
  delete older.answer
  if (older.decision !== undefined) tellDecision(draft, journal.interrupt(id), older.decision, older.reason ?? '')
  draft.send(handling.actor, { type: 'boundary', event: { type: 'superseded' } })
}

/** Writes down what was decided, tells the readers, and answers who sent the signal. */
export function tellDecision(
  { environment: { journal } }: RunDraft,
  entry: InterruptEntry,
  decision: string,
  reason: string,
): void {
  entry.decision = decision
  entry.reason = reason
  const { stage, callId } = journal.call(entry.fromCall).request
  const { id, response } = entry
  journal.tell({ type: 'interrupt-decide', stage, callId, interrupt: id, response, decision, reason })
  entry.answer?.({ accepted: true, decision, reason, superseded: false })
  delete entry.answer
}

/** Carries out what an interrupt orders, one after the other. Orders of one that is no longer handled are ignored. */
export function takeOrders(draft: RunDraft, { actor, orders }: InterruptOrders): void {
  for (const order of orders) {
    // An order may have ended the run (`then: end`): what follows it has no run to act on.
    if (draft.context.end !== null) return
    takeOrder(draft, actor, order)
  }
}

function takeOrder(draft: RunDraft, actor: string, order: InterruptOrder): void {
  if (order.type === 'resolved') draft.stop(actor)
  const { handling } = draft.context
  if (handling?.actor !== actor) return
  const { journal } = draft.environment
  const entry = journal.interrupt(handling.id)
  if (order.type === 'fault') draft.end({ outcome: 'failed', error: order.error, answerCall: handling.from.callId })
  else if (order.type === 'decided') tellDecision(draft, entry, order.decision, order.reason)
  else if (order.type === 'ordered') entry.decidedAt = journal.now()
  else if (order.type === 'resolved') resolve(draft, handling)
  else if (order.command === 'fireNext') fire(draft, handling, entry)
  else if (order.command === 'withdrawNext') withdraw(draft, handling, entry)
  else if (order.command === 'cancelCall') cancel(draft, handling, entry)
  else if (order.command === 'pauseDelivery') pauseDelivery(journal.call(handling.from.callId))
  else releaseDelivery(draft.environment, journal.call(handling.from.callId))
}

function cancel(draft: RunDraft, { from, to }: Handling, entry: InterruptEntry): void {
  if (entry.decidedAt === undefined) entry.cancelsAtOnce = true
  // Once the next stage runs, the old call has lost a race: its answer is withdrawn, not cut short.
  const kind = to === null ? 'abort' : 'withdraw'
  if (draft.isLive(from)) draft.send(from.entry, { type: 'cancel', kind, reason: `interrupted by ${entry.trigger}` })
}

/** Goes where the policy sends the run, with what it carries. */
function fire(draft: RunDraft, handling: Handling, entry: InterruptEntry): void {
  const { environment } = draft
  const { journal } = environment
  const { callId, stage: id } = handling.from
  const stage = draft.stage(id)
  const call = journal.call(callId)
  const kept = keptOf(environment, call, stage.policy.carry)
  entry.hasLeft = true
  // A call that ended by itself has given its whole answer to the reader, unless delivery was held; carry decides what the next
  // stage sees of it.
  const isSpoken = !call.isCut && call.spokenText.length === call.text.length
  const isGiven = call.end?.end === 'completed' && call.held === undefined && isSpoken
  commit(draft, callId, isGiven ? call.text : kept)
  const isWhole = call.end?.end === 'completed' && kept === call.text && stage.policy.carry !== 'none'
  draft.handOn(id, kept, { callId, whole: isWhole })
  const target = targetOf(draft, stage, entry)
  if (target === undefined) {
    draft.end({ outcome: 'completed', answerCall: callId })
    return
  }
  openTurns(draft, entry.id)
  const origin = isStart(draft, stage, entry) ? 'start' : target.id === id ? 'again' : 'then'
  const to = enter(draft, target, { from: stage, origin, ...placedOf(journal, call) })
  entry.toCall = to.callId
  draft.update({ handling: { ...handling, to } })
  draft.send(handling.actor, { type: 'next', callId: to.callId })
}

/** Where `then` leads; undefined: to the end of the run. */
function targetOf(draft: RunDraft, stage: Stage, entry: InterruptEntry): Stage | undefined {
  const { id, policy } = stage
  const then = thenOf(draft, stage, entry)
  if (then === 'end') return undefined
  if (then === 'next' || limitReached(draft, id, policy.limit)) return draft.stageAfter(id)
  if (then === 'start') return draft.environment.pipeline.stages[0]
  return draft.stage(then === 'again' ? id : then)
}

/** `then` of a policy, or its default: in a conversation a signal's input begins a new turn, and a signal without one ends the run. */
function thenOf(draft: RunDraft, { id, policy }: Stage, { trigger }: InterruptEntry): string {
  if (policy.then !== undefined) return policy.then
  const input = draft.context.lastInterrupt?.input
  const hasHistory = draft.environment.pipeline.history !== undefined
  if (hasHistory && trigger === 'signal') return input === undefined ? 'end' : 'start'
  if (draft.stageAfter(id) !== undefined) return 'next'
  return input === undefined ? 'end' : 'again'
}

const isStart = (draft: RunDraft, stage: Stage, entry: InterruptEntry): boolean =>
  thenOf(draft, stage, entry) === 'start' && !limitReached(draft, stage.id, stage.policy.limit)

/** Whether the interrupts of a boundary have led elsewhere as often as its policy allows. */
function limitReached(
  { environment: { journal } }: RunDraft,
  stage: string,
  limit = Number.POSITIVE_INFINITY,
): boolean {
  const led = journal.interrupts.filter(
    ({ fromCall, toCall }) => toCall !== undefined && journal.call(fromCall).request.stage === stage,
  )
  return led.length >= limit
}

function withdraw(draft: RunDraft, handling: Handling, entry: InterruptEntry): void {
  const { journal } = draft.environment
  const { to, from, actor } = handling
  if (to === null) return
  if (draft.isLive(to))
    draft.send(to.entry, { type: 'cancel', kind: 'withdraw', reason: 'its answer is not wanted any more' })
  journal.call(to.callId).withdraw()
  journal.tell({ type: 'output-withdraw', stage: to.stage, callId: to.callId })
  delete entry.toCall
  entry.hasLeft = false
  draft.update({ handling: { ...handling, to: null }, current: from })
  draft.send(actor, { type: 'next', callId: null })
}

function resolve(draft: RunDraft, { from, to }: Handling): void {
  const call = draft.environment.journal.call(from.callId)
  call.listening = false
  draft.update({ handling: null })
  settleTurns(draft, to !== null)
  if (to === null) call.interrupted = false
  // Released: the call goes on as if nothing had been. Its end may have come while it was held. And a next stage may have ended
  // while the old call was still racing it.
  const current = to ?? from
  if (draft.context.current?.entry === current.entry && !draft.isLive(current)) passBoundary(draft, current)
}
