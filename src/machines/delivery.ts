import type { Journal } from '../core/journal.ts'
import type { Transcript } from '../core/transcript.ts'
import type { RunEnvironment } from './environment.ts'

/** Hands a piece to the readers of the run, or keeps it while delivery is paused. */
export function deliver(journal: Journal, transcript: Transcript, text: string): void {
  if (transcript.isSilent) return
  const { stage, callId } = transcript.request
  if (transcript.held === undefined) journal.tell({ type: 'token', stage, callId, text })
  else transcript.held.push(text)
}

/** From now on pieces are kept back. */
export function pauseDelivery(transcript: Transcript): void {
  transcript.held ??= []
}

/** Hands over what was kept back, in order, and goes on delivering. */
export function releaseDelivery({ journal, speeches }: RunEnvironment, transcript: Transcript): void {
  const { held } = transcript
  transcript.held = undefined
  for (const text of held ?? []) deliver(journal, transcript, text)
  speeches.get(transcript.request.callId)?.goOn()
}
