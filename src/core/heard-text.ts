import type { Journal } from './journal.ts'
import { heardOf } from './speaking.ts'
import type { Transcript } from './transcript.ts'

/** The part of a call's text that its reader has heard: see `heardOf`. */
export function heardText(journal: Journal, call: Transcript): string {
  const text = deliveredText(journal, call)
  return text.slice(0, heardOf(journal.calls, call, text.length))
}

/**
 * The part of a call's text that its reader was given. An answer that ended by itself is given whole, or as far as it was handed out, unless its
 * delivery was held; of one that was cut it is what a reader was handed.
 */
export const deliveredText = ({ log }: Journal, call: Transcript): string =>
  call.end?.end === 'completed' && call.held === undefined
    ? call.spokenText
    : log.deliveredText(call.request.callId).text
