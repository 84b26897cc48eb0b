import type { Journal } from './journal.ts'
import type { Transcript } from './transcript.ts'

/**
 * The part of a call's text that counts as heard. An answer that ended by itself is given whole to its reader, unless its delivery was held; of
 * one that was cut it is what a reader was handed.
 */
export const heardText = (journal: Journal, call: Transcript): string => deliveredText(journal, call)

/** The part of a call's text that counts as delivered: see `heardText`. */
export const deliveredText = ({ log }: Journal, call: Transcript): string =>
  call.end?.end === 'completed' && call.held === undefined ? call.text : log.deliveredText(call.request.callId).text
