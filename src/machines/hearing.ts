import type { Acknowledgement, AcknowledgementAnswer } from '../core/speaking.ts'
import type { RunEnvironment } from './environment.ts'

/** Where a reader is. In this process it is known what it was handed; of one elsewhere what it acknowledges says so first. */
export type ReaderPlace = 'here' | 'elsewhere'

/**
 * Takes what a reader says to have heard or seen. It only rises, and never beyond what a reader was handed: less than was acknowledged
 * before changes nothing. Calls that spoke before count as heard wholly.
 */
export function hear(
  { journal, speeches }: RunEnvironment,
  { callId, characters }: Acknowledgement,
  place: ReaderPlace,
): AcknowledgementAnswer {
  const call =
    callId === undefined
      ? [...journal.calls.values()].findLast(
          ({ spokenText, uttered, isSilent }) => uttered > 0 && spokenText !== '' && !isSilent,
        )
      : journal.calls.get(callId)
  if (call === undefined)
    return {
      accepted: false,
      reason: callId === undefined ? 'the run has said nothing yet' : `the run has made no call ${callId}`,
    }
  const { log } = journal
  if (place === 'elsewhere') log.noteHeard(call.request.callId, characters)
  const { text } = log.deliveredText(call.request.callId)
  call.heard = Math.max(call.heard ?? 0, Math.min(characters, text.length))
  speeches.get(call.request.callId)?.goOn()
  return { accepted: true }
}
