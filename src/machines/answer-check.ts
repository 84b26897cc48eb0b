import { whyNoText } from '../core/answer-end.ts'
import type { CallEnd } from '../core/call.ts'
import { formatFault } from '../core/document-format.ts'
import { CaesuraError, summarize } from '../core/errors.ts'
import type { Journal } from '../core/journal.ts'
import { tokensOf } from '../core/token-counts.ts'
import type { Transcript } from '../core/transcript.ts'

/** How much of an answer is kept with the fault, in characters. It goes where text goes. */
const QUOTED = 120

/**
 * The end of a call, as a failure (`CAESURA_E_FORMAT`) where its answer ended by itself and is not what its stage asked for: no document of
 * its format, or a tool call without its arguments.
 */
export function checkAnswer(end: CallEnd, transcript: Transcript): CallEnd {
  if (end.end !== 'completed') return end
  const fault = documentFault(end, transcript) ?? toolCallFault(end, transcript)
  if (fault === undefined) return end
  return { ...end, end: 'failed', error: summarize(fault), retryable: true }
}

/** Tells the readers of the document that a call gave. */
export function tellValue(journal: Journal, { request: { stage, callId, format }, value }: Transcript): void {
  if (format !== undefined && value !== undefined) journal.tell({ type: 'value', stage, callId, value })
}

function documentFault(end: CallEnd, call: Transcript): CaesuraError | undefined {
  const { request, text } = call
  if (request.format === undefined) return undefined
  const fault = (why: string) =>
    new CaesuraError('CAESURA_E_FORMAT', `the answer of stage ${request.stage} is no document of its format: ${why}`, {
      ...(text !== '' && { received: text.slice(0, QUOTED) }),
    })
  if (text.trim() === '')
    return fault(`it has no text, because ${whyNoText({ ...end, thinking: tokensOf(call, 0).thinking })}`)
  if (end.finishReason === 'length') return fault('it was cut by its limit of tokens')
  const why = formatFault(request.format, text)
  return why === undefined ? undefined : fault(why)
}

/** A call that its limit of tokens has cut is no fault of the answer: it is not handed on. */
function toolCallFault({ toolCalls = [], finishReason }: CallEnd, call: Transcript): CaesuraError | undefined {
  if (call.request.tools === undefined || finishReason === 'length') return undefined
  if (call.toolCalls.length >= toolCalls.length) return undefined
  const names = new Set(toolCalls.map(({ name }) => name))
  const message = `the answer of stage ${call.request.stage} has a tool call whose arguments are no JSON object (${[...names].join(', ')})`
  return new CaesuraError('CAESURA_E_FORMAT', message)
}
