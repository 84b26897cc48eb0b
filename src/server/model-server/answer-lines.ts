import type { CallEnd, ToolCallSeen } from '../../core/call.ts'
import type { Nanoseconds } from '../../core/clock.ts'
import type { MarkName } from '../../core/ledger.ts'

/** The two routes differ in where the text stands. */
export type Route = 'chat' | 'generate'

type Line = Readonly<Record<string, unknown>>

/** What a line says: text, what the model thought, the tools that it calls. */
export interface Said {
  readonly text?: string
  readonly thinking?: string
  readonly toolCalls?: readonly ToolCallSeen[]
}

/** A line of an answer, or the whole answer where it is not streamed. Tools are called on the route `chat` alone. */
export function answerLine(route: Route, model: string, words: Said, rest: Line = { done: false }): Line {
  const { text = '', thinking = '', toolCalls = [] } = words
  const thought = thinking === '' ? {} : { thinking }
  const calls = toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(callOf) }
  const said =
    route === 'chat'
      ? { message: { role: 'assistant', content: text, ...thought, ...calls } }
      : { response: text, ...thought }
  return { model, created_at: new Date().toISOString(), ...said, ...rest }
}

const callOf = ({ id, name, arguments: given = {} }: ToolCallSeen) => ({
  ...(id !== undefined && { id }),
  function: { name, arguments: given },
})

/** The answer to a request without a prompt. */
export const loadLine = (route: Route, model: string, unload: boolean): Line =>
  answerLine(route, model, {}, { done: true, done_reason: unload ? 'unload' : 'load' })

/** The instants of one call on the server's clock. */
export interface CallTimes {
  /** The request was there. */
  readonly start: Nanoseconds
  /** The model was in memory. The wait for a slot comes after it and is in no duration but the total, as with Ollama. */
  readonly loaded: Nanoseconds
  readonly marks: ReadonlyMap<MarkName, Nanoseconds>
  /** The first piece of any kind. Absent when none came. */
  readonly firstToken?: Nanoseconds
  readonly end: Nanoseconds
}

/** What the last line has beside the text. Durations in ns; what is 0 or was not observed is left out, as by Go's `omitempty`. */
export function lastFields(end: CallEnd, { start, loaded, marks, firstToken, end: ended }: CallTimes): Line {
  const prefillStart = marks.get('prefill-start')
  const done = marks.get('done') ?? ended
  const figures = {
    total_duration: ended - start,
    load_duration: loaded - start,
    prompt_eval_count: end.promptTokens,
    prompt_eval_duration: prefillStart === undefined ? undefined : (firstToken ?? done) - prefillStart,
    eval_count: end.generatedTokens,
    eval_duration: firstToken === undefined ? undefined : done - firstToken,
  }
  return {
    done: true,
    // A tool call has no end of its own there.
    done_reason: end.finishReason === undefined || end.finishReason === 'tool-calls' ? 'stop' : end.finishReason,
    ...Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined && value > 0)),
  }
}
