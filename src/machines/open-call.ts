import type { CallRequest } from '../core/call.ts'
import type { Transcript } from '../core/transcript.ts'
import type { RunEnvironment } from './environment.ts'

/** Opens the next call of a stage in the journal, with the next free attempt number, and tells that it starts. */
export function openCall({ journal }: RunEnvironment, request: Omit<CallRequest, 'callId' | 'attempt'>): Transcript {
  let attempt = 1
  while (journal.calls.has(`${request.stage}.${attempt}`)) attempt += 1
  const callId = `${request.stage}.${attempt}`
  const transcript = journal.openCall({ ...request, callId, attempt })
  journal.tell({ type: 'stage-start', stage: request.stage, callId, attempt, model: request.model })
  return transcript
}
