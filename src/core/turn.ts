import { z } from 'zod'
import type { ChatMessage } from './call.ts'
import type { Nanoseconds } from './clock.ts'

/**
 * How a turn ended. `answered`: its answer ended by itself. `interrupted`: a newer input, or a signal without one, ended it. `cancelled`, `failed`:
 * so did its run.
 */
export const turnEnds = ['answered', 'interrupted', 'cancelled', 'failed'] as const

/** One input, and what was spoken until the next. Plain JSON. A run and a number name it, so that whoever writes it again takes its place. */
export const turnSchema = z.strictObject({
  runId: z.string(),
  /** 1 for the first of its run. */
  number: z.int().min(1),
  input: z.string(),
  /** When it began, ms since 1970. */
  at: z.number(),
  /** What was spoken: what was heard, else what was delivered. Absent while the turn goes on, and where nothing was spoken. */
  text: z.string().optional(),
  /** The answer did not end by itself: `text` is the part of it that was spoken. */
  cut: z.literal(true).optional(),
  /** Absent while it goes on, and where its process ended before it did. */
  end: z.enum(turnEnds).optional(),
})
export type Turn = z.infer<typeof turnSchema>

/** A turn as its run notes it when it begins. Plain JSON. */
export interface TurnEntry {
  readonly input: string
  /** ns from the run's start. */
  readonly at: Nanoseconds
  /** The interrupt that brought it; absent of the run's first. */
  readonly interrupt?: number
  /** How many calls the run had made by then. */
  readonly calls: number
  /** A visit saw it for good: nothing can take it back any more. */
  readonly isSeen?: boolean
}

/** What of an answer a history keeps. */
export const keeps = ['heard', 'delivered'] as const

/** Which turns a pipeline's prompts are shown. */
export interface HistoryWish {
  /** The most turns. Exactly one of the two is there. */
  readonly turns?: number
  /** The most tokens of all turns together, as `tokensIn` estimates them. */
  readonly tokens?: number
  /** `heard` by default. */
  readonly keep: (typeof keeps)[number]
  /** What stands behind an answer that was cut; an ellipsis by default. */
  readonly mark: string
}

/** Between two texts of one speaker. */
export const BETWEEN = '\n\n'

/** Of most models, for most languages: a token is about four bytes. */
const BYTES_A_TOKEN = 4
/** What a chat template adds to a message. */
const TOKENS_A_MESSAGE = 4

/** About how many tokens a message of this text takes. */
export const tokensIn = (text: string): number => Math.ceil(Buffer.byteLength(text) / BYTES_A_TOKEN) + TOKENS_A_MESSAGE

/** The turns with this one: in the place of the one with its run and number, else at the end. */
export function withTurn(turns: readonly Turn[], turn: Turn): Turn[] {
  const at = turns.findLastIndex(({ runId, number }) => runId === turn.runId && number === turn.number)
  return at < 0 ? [...turns, turn] : turns.with(at, turn)
}

/**
 * The last turn of a session as it is once it is known that less of its answer was heard than was kept: `text` is the part that was heard. Undefined, where
 * it is not the last turn of this run, goes on, or has no such beginning: then nothing is to be corrected.
 */
export function correctedTurn(turns: readonly Turn[], runId: string, text: string): Turn | undefined {
  const last = turns.at(-1)
  if (last?.runId !== runId || last.end === undefined || last.text === undefined) return undefined
  if (text.length >= last.text.length || !last.text.startsWith(text)) return undefined
  const { text: _, ...rest } = last
  return { ...rest, ...(text !== '' && { text }), cut: true }
}

/** What was answered in a turn, with the mark where it was cut; undefined where nothing was spoken. */
const answerIn = ({ text = '', cut }: Turn, mark: string): string | undefined =>
  text === '' ? undefined : cut ? text + mark : text

/** The newest turns that a history has room for, whole, in their order. */
export function newest(turns: readonly Turn[], { turns: most, tokens, mark }: HistoryWish): readonly Turn[] {
  if (most !== undefined) return turns.slice(-most)
  let left = tokens ?? Number.POSITIVE_INFINITY
  let from = turns.length
  while (from > 0) {
    const turn = turns[from - 1]!
    const answer = answerIn(turn, mark)
    left -= tokensIn(turn.input) + (answer === undefined ? 0 : tokensIn(answer))
    if (left < 0) break
    from -= 1
  }
  return turns.slice(from)
}

/** What a model is shown of turns: of each its input, and what was spoken. Inputs in a row, without an answer between, are one message. */
export function historyMessages(turns: readonly Turn[], wish: HistoryWish): ChatMessage[] {
  const messages: ChatMessage[] = []
  let asked: string[] = []
  const ask = () => {
    if (asked.length > 0) messages.push({ role: 'user', content: asked.join(BETWEEN) })
    asked = []
  }
  for (const turn of newest(turns, wish)) {
    if (turn.input !== '') asked.push(turn.input)
    const content = answerIn(turn, wish.mark)
    if (content === undefined) continue
    ask()
    messages.push({ role: 'assistant', content })
  }
  ask()
  return messages
}
