import type { FinishReason } from './call.ts'

/** What is known of how an answer ended. */
export interface AnswerEnd {
  readonly finishReason?: FinishReason | undefined
  readonly finishSaid?: string | undefined
  readonly toolCalls?: readonly { readonly name: string }[] | undefined
  /** Tokens of thinking; absent where the model did not think. */
  readonly thinking?: number | undefined
}

/** Why an answer that ended by itself has no text, as the end of a sentence. */
export function whyNoText({ finishReason, finishSaid, toolCalls = [], thinking = 0 }: AnswerEnd): string {
  const thought = `${thinking} token${thinking === 1 ? '' : 's'}`
  if (finishReason === 'tool-calls' || toolCalls.length > 0) return `the model asked for ${toolsOf(toolCalls)} instead`
  if (finishReason === 'content-filter') return 'a content filter of the server took it away'
  if (finishReason === 'length')
    return thinking > 0
      ? `its limit of tokens was used up while the model still thought (${thought})`
      : 'its limit of tokens was used up before its first text'
  if (thinking > 0) return `the model thought (${thought}) and then said nothing`
  return finishSaid === undefined ? 'the model ended it at once' : `the server ended it with "${finishSaid}"`
}

/** The tools that an answer asked for, by name. */
export function toolsOf(calls: NonNullable<AnswerEnd['toolCalls']>): string {
  const names = [...new Set(calls.map(({ name }) => name))]
  return names.length === 0 ? 'a tool' : `the tool${names.length === 1 ? '' : 's'} ${names.join(', ')}`
}
