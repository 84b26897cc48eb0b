import { toolsOf, whyNoText } from '../core/answer-end.ts'
import type { CallRecord, RunRecord } from '../core/record.ts'

/** What must be said of answers that ended by themselves and are not whole, or have no text: a sentence each, in the order of the calls. */
export const answersInWords = ({ stages }: RunRecord): string[] =>
  stages.flatMap((call) => {
    const said = call.settlement === 'completed' || call.settlement === 'drained' ? answerInWords(call) : undefined
    return said === undefined ? [] : [said]
  })

function answerInWords(call: CallRecord): string | undefined {
  const { id, finishReason, finishSaid, toolCalls, firstTokenMs, options, tokens } = call
  // Where text is not kept, the first token still tells that there was one.
  if (firstTokenMs === undefined) {
    const why = whyNoText({ ...call, thinking: tokens.thinking })
    const advice =
      finishReason === 'length' && tokens.thinking !== undefined
        ? ' A larger options.maxTokens leaves room for text.'
        : ''
    return `The answer of ${id} has no text: ${why}.${advice}`
  }
  if (toolCalls !== undefined || finishReason === 'tool-calls')
    return `After its text ${id} asked for ${toolsOf(toolCalls ?? [])}, which no stage answers.`
  if (finishReason === 'content-filter') return `A content filter of the server cut the answer of ${id}.`
  // Whoever sets a limit knows of it.
  if (finishReason === 'length' && options?.maxTokens === undefined)
    return `The answer of ${id} was cut at a limit that the stage does not set: the context, or the server's own.`
  return finishSaid === undefined ? undefined : `The server ended the answer of ${id} with "${finishSaid}".`
}
