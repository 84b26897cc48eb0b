import type { SignalAnswer } from '../core/engine.ts'
import type { InterruptEntry } from '../core/journal.ts'
import type { Stage } from '../core/pipeline.ts'
import { pauseDelivery, releaseDelivery } from './delivery.ts'
import { carryOf, responseOf } from './environment.ts'
import type { InterruptOrder } from './interrupt.ts'
import type { Handling, RunDraft } from './run-draft.ts'
import { commit, enter, passBoundary } from './stage-steps.ts'

/** A signal from outside, or one that was planned. It interrupts unless the run is over or the policy ignores signals. */
export function takeSignal(draft: RunDraft, input?: string, ticket?: number): void {
  const { tickets } = draft.environment
  const answer = ticket === undefined ? undefined : tickets.get(ticket)
  if (ticket !== undefined) tickets.delete(ticket)
  const { current, handling, end } = draft.context
  if (current === null || end !== null) {
    answer?.({ accepted: false, code: 'CAESURA_E_RUN_ENDED', reason: 'the run has ended' })
    return
  }
  const { stage } = handling?.from ?? current
  if (draft.stage(stage).policy.trigger.signals === 'ignore') {
    answer?.({ accepted: false, reason: `the policy of stage ${stage} ignores signals` })
  } else interrupt(draft, 'signal', input, answer)
}

/** Interrupts the current call, or supersedes the interrupt that is being handled. */
export function interrupt(
  draft: RunDraft,
  trigger: string,
  input?: string,
  answer?: (answer: SignalAnswer) => void,
): void {
  const { journal, pipeline } = draft.environment
  const { current, handling, lastInterrupt } = draft.context
  const from = handling?.from ?? current!
  const { policy } = draft.stage(from.stage)
  const at = journal.now()
  const id = journal.interrupts.length + 1
  if (id > pipeline.maxInterrupts) {
    answer?.({ accepted: false, reason: `the run has answered ${pipeline.maxInterrupts} interrupts already` })
    const message = `the run was interrupted more than ${pipeline.maxInterrupts} times (maxInterrupts)`
    draft.end({ outcome: 'failed', error: { code: 'CAESURA_E_TOO_MANY_INTERRUPTS', message }, answerCall: from.callId })
    return
  }
  const call = journal.call(from.callId)
  const given = input !== undefined && { input }
  journal.interrupts.push({
    id,
    at,
    fromCall: from.callId,
    trigger,
    ...given,
    response: policy.response.name,
    carry: policy.carry,
    superseded: false,
    ...(answer !== undefined && { answer }),
  })
  call.ledger.set('interrupt', at)
  call.interrupted = true
  journal.tell({ type: 'interrupt-signal', stage: from.stage, callId: from.callId, interrupt: id, trigger, ...given })
  // A newer signal without input does not take the older one's input away.
  const newest = input ?? (handling === null ? undefined : lastInterrupt?.input)
  draft.update({ lastInterrupt: { ...(newest !== undefined && { input: newest }), at: at / 1e6 } })
  if (handling !== null) {
    supersede(draft, handling, id)
    return
  }
  const actor = `interrupt.${id}`
  const { response, carry } = policy
  const listens = responseOf(draft.environment, response.name).on
  call.listening = listens?.token !== undefined || listens?.sentenceEnd !== undefined
  draft.update({ handling: { actor, id, from, to: null } })
  draft.effects.push({ do: 'interrupt', input: { actor, callId: from.callId, response, carry, at } })
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

function tellDecision(
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

/** Carries out what an interrupt orders. Orders of one that is no longer handled are ignored. */
export function takeOrder(draft: RunDraft, order: InterruptOrder): void {
  if (order.type === 'interrupt.resolved') draft.stop(order.actor)
  const { handling } = draft.context
  if (handling?.actor !== order.actor) return
  const { journal } = draft.environment
  const entry = journal.interrupt(handling.id)
  if (order.type === 'interrupt.decided') tellDecision(draft, entry, order.decision, order.reason)
  else if (order.type === 'interrupt.ordered') entry.decidedAt = journal.now()
  else if (order.type === 'interrupt.resolved') resolve(draft, handling)
  else if (order.command === 'fireNext') fire(draft, handling, entry)
  else if (order.command === 'withdrawNext') withdraw(draft, handling, entry)
  else if (order.command === 'cancelCall') cancel(draft, handling, entry)
  else if (order.command === 'pauseDelivery') pauseDelivery(journal.call(handling.from.callId))
  else releaseDelivery(journal, journal.call(handling.from.callId))
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
  const complete = call.settlement === 'drained' || call.settlement === 'completed'
  const delivered = journal.log.deliveredText(callId).text
  const kept = carryOf(environment, stage.policy.carry).keep({ text: call.text, delivered, complete })
  // A call that ended by itself has given its whole answer to the reader; carry decides what the next stage sees of it.
  commit(draft, callId, complete ? call.text : kept)
  draft.update({ outputs: { ...draft.context.outputs, [id]: kept } })
  const target = targetOf(draft, stage, entry.input)
  if (target === undefined) {
    draft.end({ outcome: 'completed', answerCall: callId })
    return
  }
  const to = enter(draft, target, { from: stage, node: call.node })
  entry.toCall = to.callId
  draft.update({ handling: { ...handling, to } })
  draft.send(handling.actor, { type: 'next', callId: to.callId })
}

/** Where `then` leads; undefined: to the end of the run. */
function targetOf(draft: RunDraft, { id, policy }: Stage, input: string | undefined): Stage | undefined {
  const next = draft.stageAfter(id)
  const then = policy.then ?? (next !== undefined ? 'next' : input === undefined ? 'end' : 'again')
  if (then === 'end') return undefined
  if (then === 'next') return next
  return draft.stage(then === 'again' ? id : then)
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
  draft.update({ handling: { ...handling, to: null }, current: from })
  draft.send(actor, { type: 'next', callId: null })
}

function resolve(draft: RunDraft, { from, to }: Handling): void {
  const call = draft.environment.journal.call(from.callId)
  call.listening = false
  draft.update({ handling: null })
  if (to === null) call.interrupted = false
  // Released: the call goes on as if nothing had been. Its end may have come while it was held.
  if (to === null && draft.context.current?.entry === from.entry && !draft.isLive(from)) passBoundary(draft, from)
}
