import type { CallRequest } from '../core/call.ts'
import { tellExposure } from '../core/exposure.ts'
import { headersOf } from '../core/trace.ts'
import type { Transcript } from '../core/transcript.ts'
import type { RunEnvironment } from './environment.ts'

/** Opens the next call of a stage in the journal, with the next free number, and tells that it starts. */
export function openCall({ journal, pipeline }: RunEnvironment, request: Omit<CallRequest, 'callId'>): Transcript {
  let number = 1
  while (journal.calls.has(`${request.stage}.${number}`)) number += 1
  const callId = `${request.stage}.${number}`
  const trace = headersOf(journal.trace, journal.runId, callId)
  const transcript = journal.openCall({ ...request, callId, ...(trace !== undefined && { trace }) })
  transcript.awaitsHearing = pipeline.stages.find(({ id }) => id === request.stage)?.speaking?.heard === true
  const { stage, visit, attempt, model, work } = request
  journal.tell({
    type: 'stage-start',
    stage,
    callId,
    ...(visit !== undefined && { visit }),
    attempt,
    ...(work === undefined && { model }),
  })
  tellExposure(journal, { callId })
  return transcript
}

/**
 * Opens the call that takes the place of one that has failed: nothing of the failed one's text stands any more. An interrupt that is
 * being handled goes on with the new one. `fallback`: the model or the node to turn to; absent: the same again.
 */
export function openNextAttempt(environment: RunEnvironment, failedId: string, fallback?: string): Transcript {
  const { journal } = environment
  const failed = journal.call(failedId)
  const { stage } = failed.request
  failed.withdraw()
  if (failed.text !== '') journal.tell({ type: 'output-withdraw', stage, callId: failedId })
  const request = fallback === undefined ? failed.request : aimedAt(environment, failed, fallback)
  const next = openCall(environment, { ...request, attempt: request.attempt + 1 })
  next.retryOf = failedId
  if (failed.scope !== undefined) next.scope = failed.scope
  next.interrupted = failed.interrupted
  next.listening = failed.listening
  next.held = failed.held && []
  for (const interrupt of journal.interrupts) {
    if ((interrupt.endCall ?? interrupt.fromCall) === failedId) interrupt.endCall = next.request.callId
    if (interrupt.toCall !== failedId || failed.pieces > 0) continue
    interrupt.firstTry ??= failedId
    interrupt.toCall = next.request.callId
  }
  return next
}

/** The same call for another model, or for the stage's own model on the node of that name. A node's name wins. */
function aimedAt(
  { nodes, pipeline, resolveModel }: RunEnvironment,
  { request }: Transcript,
  name: string,
): CallRequest {
  const { node: _, ...rest } = request
  const stage = pipeline.stages.find(({ id }) => id === request.stage)
  const own = stage?.asks?.model ?? request.model
  if (nodes.has(name)) return { ...rest, model: resolveModel(own), node: name }
  // Where the call before ran says nothing of where this model is.
  return { ...rest, model: resolveModel(name), otherwise: 'any' }
}
