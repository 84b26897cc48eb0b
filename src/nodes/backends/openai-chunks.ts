import { z } from 'zod'
import type { ServerDurations } from '../../core/call.ts'
import type { CaesuraError } from '../../core/errors.ts'
import { type Said, saidBy, saidIn } from './answer-parts.ts'
import { oddPiece } from './answer-state.ts'
import { errorIn } from './openai-errors.ts'
import { countOf, nsOfMs } from './reported.ts'
import { isError, type ServerWords, wordsOf } from './server-words.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * One event of a streamed `/chat/completions` answer, as far as it carries the answer. What it reports beside that (usage, timings,
 * names, dates) is read leniently: see `reported.ts`.
 */
const chunkSchema = z.object({ choices: z.array(z.record(z.string(), z.unknown())).nullish() })

/** What a chunk says of the one choice that was asked for. */
export interface Choice {
  readonly said: Said
  /** The delta or the message: tool calls stand in it. */
  readonly message: Fields
  /** As the server sent it. */
  readonly reason: unknown
}

/** What a server reported so far. */
export interface Usage {
  readonly promptTokens?: number
  readonly cachedTokens?: number
  /** Not judged yet: see `generatedCount`. */
  readonly generatedTokens?: number
  readonly thinkingTokens?: number
  readonly server?: ServerDurations
}

export interface AnswerChunk {
  /** Absent in a chunk of bookkeeping alone. */
  readonly choice?: Choice
  /** The fault that the chunk tells of, beside or instead of text. */
  readonly error?: ServerWords
  readonly usage: Usage
  /** It is the whole answer, not a piece of a stream. */
  readonly isWhole: boolean
}

/** Fields of an event that carries no choice and is still one of an answer. */
const bookkeeping = ['usage', 'timings', 'prompt_progress', 'prompt_filter_results']

/** Reads a chunk, or a whole answer where the server did not stream. A `CaesuraError` of `CAESURA_E_PROTOCOL` for what carries no answer. */
export function readChunk(data: string, isWhole = false): AnswerChunk | CaesuraError {
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch (cause) {
    return oddPiece('an event of the answer is not JSON', data, cause)
  }
  const parsed = chunkSchema.safeParse(json)
  const choices = parsed.data?.choices
  const fields = (typeof json === 'object' && json !== null ? json : {}) as Fields
  // Of several choices the first is ours; some servers number none, or number them by texts.
  const mine = choices?.find(({ index }) => Number(index ?? 0) === 0 || Number.isNaN(Number(index)))
  // A document in one piece has a message; one with a delta is a line of a stream of another kind.
  if (isWhole && mine !== undefined && mine.message === undefined)
    return oddPiece('the answer is no stream of events', data)
  const choice = mine && readChoice(mine)
  const error = errorIn(json) ?? errorInChoice(mine)
  const carriesAnswer =
    parsed.success && choice !== 'odd' && (Array.isArray(choices) || bookkeeping.some((name) => name in fields))
  if (!carriesAnswer && error === undefined) {
    const where = choice === 'odd' ? ' at choices.0.delta.content' : placeOf(parsed.error)
    return oddPiece(`an event of the answer has the wrong shape${where}`, data, parsed.error)
  }
  return {
    ...(choice !== undefined && choice !== 'odd' && { choice }),
    ...(error !== undefined && { error }),
    usage: usageIn(fields),
    isWhole,
  }
}

const placeOf = (error: z.ZodError | undefined): string => {
  const where = error?.issues[0]?.path.join('.') ?? ''
  return where === '' ? '' : ` at ${where}`
}

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined

/** `odd` for content that can be none. */
function readChoice({ delta, message, text, finish_reason: reason }: Fields): Choice | 'odd' {
  const said = fieldsOf(delta) ?? fieldsOf(message) ?? {}
  // The older completions route has `text` in the place of a delta.
  const read = delta === undefined && message === undefined ? saidIn(text) : saidBy(said)
  return read === undefined ? 'odd' : { said: read, message: said, reason }
}

/** Some put the fault into the choice, or into its delta. */
function errorInChoice(choice: Fields | undefined): ServerWords | undefined {
  const told = [choice?.error, fieldsOf(choice?.delta)?.error, fieldsOf(choice?.message)?.error].find(isError)
  return told === undefined ? undefined : wordsOf(told)
}

/** What is reported, by its parts: what is missing in one chunk does not take away what another had. */
function usageIn(fields: Fields): Usage {
  const usage = fieldsOf(fields.usage)
  const details = fieldsOf(usage?.completion_tokens_details) ?? fieldsOf(usage?.output_tokens_details)
  const timings = fieldsOf(fields.timings)
  const read = countOf(timings?.prompt_n)
  // llama.cpp's `prompt_n` leaves out what it knew already.
  const promptTokens =
    countOf(usage?.prompt_tokens) ?? (read === undefined ? undefined : read + (countOf(timings?.cache_n) ?? 0))
  const cached = fieldsOf(usage?.prompt_tokens_details) ?? fieldsOf(usage?.input_tokens_details)
  const cachedTokens = countOf(cached?.cached_tokens) ?? countOf(timings?.cache_n)
  const generatedTokens = countOf(usage?.completion_tokens) ?? countOf(timings?.predicted_n)
  const thinkingTokens = countOf(details?.reasoning_tokens) ?? countOf(usage?.reasoning_tokens)
  const [prefillNs, decodeNs] = [nsOfMs(timings?.prompt_ms), nsOfMs(timings?.predicted_ms)]
  const server: ServerDurations = {
    ...(prefillNs !== undefined && { prefillNs }),
    ...(decodeNs !== undefined && { decodeNs }),
  }
  return {
    ...(promptTokens !== undefined && { promptTokens }),
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(generatedTokens !== undefined && { generatedTokens }),
    ...(thinkingTokens !== undefined && { thinkingTokens }),
    ...(Object.keys(server).length > 0 && { server }),
  }
}
