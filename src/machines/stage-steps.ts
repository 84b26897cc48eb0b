import type { ChatMessage } from '../core/call.ts'
import { CaesuraError } from '../core/errors.ts'
import type { Stage } from '../core/pipeline.ts'
import { openCall } from './open-call.ts'
import type { Entry, RunDraft } from './run-draft.ts'
import type { StageNews } from './stage.ts'

/** Enters a stage: fills its prompt in and has its call started. `previous` is where the run comes from, for placement. */
export function enter(draft: RunDraft, stage: Stage, previous?: { from: Stage; node: string | undefined }): Entry {
  const { callId } = openCall(draft.environment, {
    runId: draft.environment.journal.runId,
    stage: stage.id,
    model: draft.environment.resolveModel(stage.model),
    messages: messagesOf(draft, stage),
    options: stage.options,
    placement: previous?.from.policy.placement ?? 'any',
    ...(previous?.node !== undefined && { previousNode: previous.node }),
  }).request
  const entry = { entry: callId, stage: stage.id, callId }
  draft.effects.push({ do: 'enter', input: { entry: callId, callId, attemptsLeft: stage.attempts } })
  draft.update({ current: entry, live: [...draft.context.live, entry] })
  return entry
}

function messagesOf({ environment, context }: RunDraft, stage: Stage): ChatMessage[] {
  const { pipeline, input, vars, render } = environment
  const scope = {
    input,
    vars,
    interrupt: context.lastInterrupt ?? {},
    ...Object.fromEntries(pipeline.stages.map(({ id }) => [id, { output: context.outputs[id] ?? '' }])),
  }
  const system = stage.system === undefined ? '' : render(stage.system, scope)
  const prompt = render(stage.prompt, scope)
  if (prompt.trim() === '') {
    const message = `the prompt of stage ${stage.id} is empty after its template was filled in`
    throw new CaesuraError('CAESURA_E_PROMPT_EMPTY', message)
  }
  return [...(system === '' ? [] : [{ role: 'system' as const, content: system }]), { role: 'user', content: prompt }]
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
  draft.update({ outputs: { ...draft.context.outputs, [id]: call.text } })
  const next = draft.stageAfter(id)
  if (next === undefined) draft.end({ outcome: 'completed', answerCall: callId })
  else enter(draft, next, { from: draft.stage(id), node: call.node })
}

/** A stage's call has settled, for good. */
export function noteSettled(draft: RunDraft, news: Extract<StageNews, { type: 'stage.settled' }>): void {
  const { entry, callId, settlement, ordered } = news
  draft.update({ live: draft.context.live.filter((live) => live.entry !== entry) })
  draft.stop(entry)
  const { handling, current, end } = draft.context
  if (end !== null) return
  // A call that was told to stop may end in a fault as well: its answer is not wanted, so the fault does not count.
  if (settlement === 'failed' && !ordered) {
    const error = draft.environment.journal.call(callId).end?.error
    draft.end({ outcome: 'failed', ...(error !== undefined && { error }), answerCall: callId })
  } else if (entry === handling?.from.entry) {
    draft.tellBoundary(entry, { type: 'callSettled' })
    draft.tellBoundary(entry, { type: 'slotFree' })
  } else if (entry === handling?.to?.entry) draft.tellBoundary(entry, undefined, { type: 'nextSettled' })
  else if (entry === current?.entry) passBoundary(draft, current)
}
