import { z } from 'zod'
import { durationSchema } from '../../core/duration.ts'
import type { InterruptTimes, Load } from '../../core/experiment.ts'
import { numberWithin, textWithin, wholeWithin } from '../../core/number-schema.ts'
import { orList } from '../../core/problems.ts'

const MOST_TIMES = 100_000
const MOST_PROMPTS = 100_000
/** Mappings of which one key is chosen; the others would contradict it. */
const exactlyOne = (keys: readonly string[], withOthers: readonly string[] = []) => ({
  test: (value: object) => Object.keys(value).filter((key) => !withOthers.includes(key)).length === 1,
  complaint: { error: 'does not choose one of its keys', params: { expected: `exactly one of ${orList(keys)}` } },
})

const timesOf = { after: durationSchema.optional().describe('All at this time.') }
const shareOfStage = numberWithin(0, 3)
const listOf = <T extends z.ZodType>(schema: T, of: string) =>
  z
    .array(schema, `a list of ${of}`)
    .min(1, '1 or more')
    .max(MOST_TIMES, `at most ${MOST_TIMES.toLocaleString('en-US')}`)

const interruptKeys = ['after', 'list', 'uniform', 'poisson', 'share', 'recorded'] as const
const oneTime = exactlyOne(interruptKeys)

export const interruptsSchema = z
  .union([
    z
      .strictObject({
        ...timesOf,
        list: listOf(durationSchema, 'durations').optional().describe('In turn.'),
        uniform: z
          .tuple([durationSchema, durationSchema], 'two durations')
          .refine(([from, to]) => from <= to, {
            error: 'begins after it ends',
            params: { expected: 'the shorter duration first' },
          })
          .optional()
          .describe('Evenly distributed from the first to the second.'),
        poisson: z
          .strictObject({
            mean: durationSchema.refine((ms) => ms > 0, {
              error: 'is zero',
              params: { expected: 'a duration above 0' },
            }),
          })
          .optional()
          .describe('Of a Poisson process: exponentially distributed.'),
        share: z
          .union([listOf(shareOfStage, 'shares'), shareOfStage])
          .optional()
          .describe(
            "Shares of the first stage's length, which the warm-up measures: 0.5 is in the middle. A list is taken in turn.",
          ),
        recorded: z
          .strictObject({ pipeline: textWithin(200).optional(), experiment: textWithin(200).optional() })
          .refine(exactlyOne(['pipeline', 'experiment']).test, exactlyOne(['pipeline', 'experiment']).complaint)
          .optional()
          .describe('Times of interrupts that are in the records, in turn.'),
      })
      .refine(oneTime.test, oneTime.complaint),
    z.literal('none', `none, or a mapping with ${orList(interruptKeys)}`),
  ])
  .default('none')
  .describe("When interrupts come, counted from the start of the first stage's call.")

/** As `Experiment` has them. */
export function interruptTimes(written: z.output<typeof interruptsSchema>): InterruptTimes {
  if (written === 'none') return { kind: 'none' }
  const { after, list, uniform, poisson, share, recorded } = written
  if (after !== undefined) return { kind: 'list', atMs: [after] }
  if (list !== undefined) return { kind: 'list', atMs: list }
  if (uniform !== undefined) return { kind: 'uniform', fromMs: uniform[0], toMs: uniform[1] }
  if (poisson !== undefined) return { kind: 'poisson', meanMs: poisson.mean }
  if (share !== undefined) return { kind: 'share', of: typeof share === 'number' ? [share] : share }
  return { kind: 'recorded', ...(recorded as { pipeline?: string; experiment?: string }) }
}

const promptText = z.string('a text').regex(/\S/, 'a text that is not empty')
const promptKeys = ['file', 'words'] as const
const oneSource = exactlyOne(promptKeys, ['count', 'seed'])

export const promptsSchema = z
  .union([
    z
      .array(promptText, 'a list of texts')
      .min(1, '1 or more prompts')
      .max(MOST_PROMPTS, `at most ${MOST_PROMPTS.toLocaleString('en-US')} prompts`),
    z
      .strictObject({
        file: textWithin(1000)
          .optional()
          .describe(
            'A text file with a prompt a line, a JSONL file (texts, or mappings with `prompt`), or a YAML list.',
          ),
        words: wholeWithin(1, 10_000).optional().describe('Makes prompts of so many words that mean nothing.'),
        count: wholeWithin(1, MOST_PROMPTS).optional().describe('With `words`: how many prompts; 100 by default.'),
        seed: wholeWithin(0, 2_147_483_647).optional().describe("With `words`; the experiment's by default."),
      })
      .refine(oneSource.test, oneSource.complaint),
  ])
  .describe('One is drawn for each trial.')

const loadKeys = ['users', 'rate'] as const
const oneLoad = exactlyOne(loadKeys, ['think'])

export const loadSchema = z
  .strictObject({
    users: wholeWithin(1, 10_000).optional().describe('Closed: so many at once, each waits for its answer.'),
    think: durationSchema.optional().describe('With `users`: the pause of a user between two trials; none by default.'),
    rate: numberWithin(0.001, 10_000)
      .optional()
      .describe('Open: so many trials begin each second on average, whatever the server does.'),
  })
  .refine(oneLoad.test, oneLoad.complaint)
  .refine((load) => load.rate === undefined || load.think === undefined, {
    error: 'has a pause of users, and no users',
    params: { expected: 'users with think, or rate' },
  })
  .default({ users: 1 })
  .describe('Without it: one trial after the other.')

export const loadOf = ({ users = 1, think = 0, rate }: z.output<typeof loadSchema>): Load =>
  rate === undefined ? { kind: 'closed', users, thinkMs: think } : { kind: 'open', perSecond: rate }

const zero = { error: 'is zero', params: { expected: 'a duration above 0', hint: 'Leave it out for no limit.' } }

export const budgetSchema = z
  .strictObject({
    time: durationSchema.refine((ms) => ms > 0, zero).optional(),
    tokens: wholeWithin(1, 1_000_000_000_000).optional().describe('Generated in all.'),
  })
  .default({})
  .describe('When one is used up, the experiment ends with the block that it is in.')
