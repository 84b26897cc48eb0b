import { z } from 'zod'
import { wholeWithin } from '../core/number-schema.ts'
import { present } from '../core/present.ts'
import { type HistoryWish, keeps } from '../core/turn.ts'

/** What stands behind an answer that was cut. */
const MARK = '…'
const MOST_TURNS = 10_000
const MOST_TOKENS = 10_000_000
const LONGEST_MARK = 100

/** `history` of a pipeline. */
export const historySchema = z
  .strictObject({
    turns: wholeWithin(1, MOST_TURNS).optional().describe('The most turns, the newest ones.'),
    tokens: wholeWithin(1, MOST_TOKENS)
      .optional()
      .describe('The most tokens of all turns together, estimated: a token is four bytes of UTF-8.'),
    keep: z
      .enum(keeps, 'heard or delivered')
      .default('heard')
      .describe(
        'What of an answer counts: what was heard, or what was delivered. Without acknowledgements they are the same.',
      ),
    mark: z
      .string('a text')
      .max(LONGEST_MARK, `a text of at most ${LONGEST_MARK} characters`)
      .default(MARK)
      .describe('What stands behind an answer that was cut.'),
  })
  .refine(({ turns, tokens }) => (turns === undefined) !== (tokens === undefined), {
    error: 'does not say how much',
    params: { expected: 'turns or tokens, one of the two' },
  })
  .transform(({ turns, tokens, keep, mark }): HistoryWish => ({ ...present({ turns, tokens }), keep, mark }))
  .meta({ oneOf: [{ required: ['turns'] }, { required: ['tokens'] }] })
