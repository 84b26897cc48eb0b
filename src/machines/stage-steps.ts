import type { Journal } from '../core/journal.ts'
import type { Stage } from '../core/pipeline.ts'
import { placementOf } from '../core/placement.ts'
import type { Transcript } from '../core/transcript.ts'
import type { VisitOrigin } from '../core/visit.ts'
import { openCall } from './open-call.ts'
import type { Entry, RunDraft } from './run-draft.ts'
import type { StageNews } from './stage.ts'
import { scopeOf, workOf } from './work.ts'

/** Where the call before ran, and where it had something done ahead for the stage after it. */
interface Placed {
  readonly node: string | undefined
  readonly warmNode: string | undefined
}

/** Where the run was last. Work that asks no model is nowhere: there it is the place of the last call that asked a model. */
export function placedOf(journal: Journal, call: Transcript): Placed {
  if (call.request.work === undefined) return { node: call.node, warmNode: call.warmed?.node }
  const asked = [...journal.calls.values()].findLast(
    ({ request, node }) => request.work === undefined && node !== undefined,
  )
  return { node: asked?.node, warmNode: undefined }
}

/** The stage that the run comes from, how, and where its call was, for placement. */
interface Previous extends Placed {
  readonly from: Stage
  readonly origin: VisitOrigin
}

/** Enters a stage: fills its prompt in and has its call started. `previous` is absent for the first. */
export function enter(draft: RunDraft, stage: Stage, previous?: Previous): Entry {
  const scope = scopeOf(draft.environment, draft.context)
  const transcript = openCall(draft.environment, {
    runId: draft.environment.journal.runId,
    stage: stage.id,
    visit: draft.environment.journal.openVisit(stage.id, previous?.origin ?? 'order').visit,
    attempt: 1,
    ...workOf(draft.environment, stage, scope),
    ...(previous === undefined ? { placement: 'any' } : placementOf(previous.from.policy)),
    ...(previous?.node !== undefined && { previousNode: previous.node }),
    ...(previous?.warmNode !== undefined && { warmNode: previous.warmNode }),
  })
  transcript.scope = scope
  const { callId } = transcript.request
  const entry = { entry: callId, stage: stage.id, callId }
  draft.effects.push({ do: 'enter', input: { entry: callId, callId, retry: stage.retry, fallback: stage.fallback } })
  draft.update({ current: entry, live: [...draft.context.live, entry] })
  return entry
}

/** A stage tries again: its newest call is another one. */
export function noteAttempt(draft: RunDraft, entry: string, callId: string): void {
  const renew = (old: Entry): Entry => (old.entry === entry ? { ...old, callId } : old)
  const { current, handling, live } = draft.context
  draft.update({
    live: live.map(renew),
    current: current && renew(current),
    handling: handling && { ...handling, from: renew(handling.from), to: handling.to && renew(handling.to) },
  })
  if (handling?.from.entry === entry) draft.send(handling.actor, { type: 'attempt', callId })
  else if (handling?.to?.entry === entry) draft.send(handling.actor, { type: 'next', callId })
}

/** The first `kept` of a call's text stand: tells the readers, and counts what was used. */
export function commit({ environment: { journal } }: RunDraft, callId: string, kept: string): void {
  const call = journal.call(callId)
  call.keep(kept.length)
  const { stage } = call.request
  if (kept === '' && call.text !== '') journal.tell({ type: 'output-withdraw', stage, callId })
  else journal.tell({ type: 'output-commit', stage, callId, characters: kept.length })
}

/** The stage ended by itself: its whole output goes on to the next one, or is the answer. */
export function passBoundary(draft: RunDraft, { stage: id, callId }: Entry): void {
  const call = draft.environment.journal.call(callId)
  commit(draft, callId, call.text)
  draft.handOn(id, call.text, { callId, whole: true })
  const next = draft.stageAfter(id)
  if (next === undefined) draft.end({ outcome: 'completed', answerCall: callId })
  else enter(draft, next, { from: draft.stage(id), origin: 'order', ...placedOf(draft.environment.journal, call) })
}

/** A stage's call has settled, for good. */
export function noteSettled(draft: RunDraft, news: Extract<StageNews, { type: 'stage.settled' }>): void {
  const { entry, callId, settlement, ordered } = news
  draft.update({ live: draft.context.live.filter((live) => live.entry !== entry) })
  draft.stop(entry)
  const { handling, current, end } = draft.context
  if (end !== null) return
  // A call that was told to stop may end in a fault as well: its answer is not wanted, so the fault does not count.
  // So is one that lost a race against a stage that has been fired.
  if (settlement === 'failed' && !ordered && !(entry === handling?.from.entry && handling.to !== null)) {
    const error = draft.environment.journal.call(callId).end?.error
    draft.end({ outcome: 'failed', ...(error !== undefined && { error }), answerCall: callId })
    return
  }
  // The run has gone on already, and the call has given its whole answer all the same.
  const isLeft =
    entry === handling?.from.entry ? handling.to !== null : entry !== handling?.to?.entry && entry !== current?.entry
  const call = draft.environment.journal.call(callId)
  if (isLeft && settlement === 'drained' && call.held === undefined) commit(draft, callId, call.text)
  if (entry === handling?.from.entry) {
    draft.tellBoundary(entry, { type: 'callSettled' })
    draft.tellBoundary(entry, { type: 'slotFree' })
  } else if (entry === handling?.to?.entry) draft.tellBoundary(entry, undefined, { type: 'nextSettled' })
  else if (entry === current?.entry) passBoundary(draft, current)
}
