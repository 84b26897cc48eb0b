import { z } from 'zod'
import { acknowledgementSchema, MOST_INPUT_CHARACTERS, tagsSchema } from '../../core/caller-input.ts'
import { textWithin, wholeWithin } from '../../core/number-schema.ts'
import { busyChoices } from '../../core/pipeline.ts'
import { recordSchema } from '../../core/record.ts'
import { paceSchema } from '../../core/speaking.ts'
import { turnSchema } from '../../core/turn.ts'

const MOST_SIGNALS = 1000
const MOST_TOKENS = 1_000_000
const DAY_MS = 24 * 3_600_000

export const runIdPattern = /^[A-Za-z0-9_-]{1,100}$/
const runId = z.string('a text').regex(runIdPattern, '1 to 100 letters, digits, - or _')
const tenant = z
  .string('a text')
  .regex(/^[A-Za-z0-9_.:@-]{1,100}$/, '1 to 100 letters, digits or _.:@-')
  .describe('Whom the run counts for: the next run of one that has many waits behind those of one that has few.')
const input = textWithin(MOST_INPUT_CHARACTERS)

const signal = z
  .strictObject({
    stage: textWithin(100).optional().describe("Counts from this stage's first call; without it from the run's start."),
    afterMs: z.number('a number of ms').min(0, 'a number of ms').max(DAY_MS, 'at most 24 h').optional(),
    afterTokens: wholeWithin(1, MOST_TOKENS).optional(),
    input: input.optional(),
  })
  .refine((value) => (value.afterMs === undefined) !== (value.afterTokens === undefined), {
    error: 'does not say when',
    params: { expected: 'afterMs or afterTokens, one of the two' },
  })
  .meta({ oneOf: [{ required: ['afterMs'] }, { required: ['afterTokens'] }] })

/** What `POST /v1/runs` takes. `pipeline` is what the server was started with: names, or any pipeline. */
export const runRequestSchema = (pipeline: z.ZodType) =>
  z.strictObject({
    pipeline,
    input: input.describe('What the run is asked.'),
    vars: z
      .record(
        z.string().regex(/^[A-Za-z_]\w*$/, 'a name of letters, digits and _'),
        z.string('a text').max(MOST_INPUT_CHARACTERS),
      )
      .optional()
      .describe('For {{ vars.key }} in prompts.'),
    pace: paceSchema
      .optional()
      .describe('Tokens a second that are handed to the reader, in place of what the pipeline says.'),
    interrupts: z.array(signal).max(MOST_SIGNALS, 'at most 1000 interrupts').optional().describe('Planned ahead.'),
    signals: z
      .array(signal)
      .max(MOST_SIGNALS, 'at most 1000 signals')
      .optional()
      .meta({ deprecated: true })
      .describe('The older name of `interrupts`, beside which it is refused.'),
    runId: runId.optional().describe('Made by default.'),
    tenant: tenant.optional(),
    priority: wholeWithin(0, 2_000_000).optional().describe('Smaller goes first; 0 by default.'),
    session: textWithin(200)
      .optional()
      .describe(
        "Who asks: all runs of a session have the same arm of the pipeline's experiment. The run's id by default.",
      ),
    tags: tagsSchema.optional().describe('What else its record is to say of it.'),
    experiment: z
      .strictObject({ name: textWithin(200), arm: textWithin(200), session: textWithin(200).optional() })
      .optional()
      .describe(
        'The arm of an experiment that somebody else assigned it to: named in its record and its spans. Of the own experiment of the pipeline: the run has the policies of that arm.',
      ),
    cancelOnDisconnect: z
      .boolean('true or false')
      .optional()
      .describe('Cancels the run when the client of this streamed answer leaves before the end; false by default.'),
  })
export type RunRequest = z.output<ReturnType<typeof runRequestSchema>>

/** What `POST /v1/sessions/ID/turns` takes. */
export const turnRequestSchema = (pipeline: z.ZodType) =>
  runRequestSchema(pipeline)
    .pick({ pipeline: true, input: true, vars: true, tenant: true, priority: true, tags: true })
    .extend({
      busy: z
        .enum(busyChoices, 'interrupt, queue or reject')
        .optional()
        .describe('What becomes of it while a run of the session is live. As the pipeline says by default.'),
    })

export const interruptRequestSchema = z.strictObject({
  input: input.optional().describe('What `interrupt.input` is in the prompts that follow.'),
  heard: acknowledgementSchema.optional().describe('What the user had heard or seen when the signal was sent.'),
})

export const heardRequestSchema = acknowledgementSchema

/** A whole number in a query, where everything is text. */
const whole = (min: number, max: number) =>
  z
    .any()
    .meta({ type: 'integer', minimum: min, maximum: max })
    .transform((value: unknown, context) => {
      const count = Number(value)
      if (typeof value === 'string' && /^\d{1,15}$/.test(value) && count >= min && count <= max) return count
      const params = { expected: `a whole number from ${min} to ${max}` }
      context.issues.push({ code: 'custom', input: value, message: 'is no such number', params })
      return z.NEVER
    })

export const eventsQuerySchema = z.strictObject({
  after: whole(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The number of the last event that was seen. `Last-Event-ID` says the same and goes before.'),
})

export const cancelQuerySchema = z.strictObject({
  reason: textWithin(500).optional().describe('Kept in the record as `cancelReason`.'),
})

export const listQuerySchema = z.strictObject({
  status: z.enum(['live', 'ended']).optional(),
  pipeline: textWithin(200).optional(),
  tenant: tenant.optional(),
  outcome: recordSchema.shape.outcome.optional(),
  limit: whole(1, 500)
    .optional()
    .describe('50 by default. A page may hold fewer: there are more as long as there is a cursor.'),
  cursor: z
    .string()
    .regex(/^[01](-\d{1,16}(\.\d{1,6})?-[A-Za-z0-9_-]{1,100})?$/, 'the cursor of an answer before')
    .optional()
    .describe('Where the page before ended.'),
})

export const noQuerySchema = z.strictObject({})

const milliseconds = z.number().describe('ms since 1970')
export const submittedSchema = z.strictObject({ runId: z.string(), traceId: z.string(), pipeline: z.string() })

export const runStateSchema = z.strictObject({
  runId: z.string(),
  pipeline: z.string(),
  status: z.enum(['waiting', 'running', 'ended']).describe('waiting: no worker has begun with it'),
  submittedAt: milliseconds,
  tenant: z.string(),
  seq: z.int().describe('The number of its last event so far.'),
  submittedBy: z.string().optional().describe('The name of the token that it was submitted with.'),
  outcome: recordSchema.shape.outcome.optional().describe('Once it has ended.'),
  durationMs: z.number().optional(),
  dead: z.string().optional().describe('Why it was put aside: what Redis holds of it could not be read.'),
})
export type RunState = z.infer<typeof runStateSchema>

export const runListSchema = z.strictObject({ runs: z.array(runStateSchema), cursor: z.string().optional() })

const ofLiveRun = {
  runId: z.string().describe('Of the live run.'),
  became: z.literal('signal'),
  ownRunId: z.string().describe('Of the run that it becomes where no visit of the live run sees it.'),
}
export const turnBegunSchema = z.strictObject({
  runId: z.string(),
  traceId: z.string(),
  became: z.enum(['run', 'queue']).describe('queue: it begins when the runs of the session before it have ended'),
  pipeline: z.string(),
})
export const turnPendingSchema = z.strictObject({ ...ofLiveRun, pending: z.literal(true) })

export const sessionSchema = z.strictObject({
  session: z.string(),
  tenant: z.string().optional(),
  turns: z.array(turnSchema.partial({ input: true })),
})
export const sessionDeletedSchema = z.strictObject({ session: z.string(), deleted: z.literal(true) })

export const answerSchema = z.strictObject({
  accepted: z.boolean().describe('False where the policy ignores signals.'),
  decision: z.string().optional(),
  reason: z.string(),
  superseded: z.boolean().optional().describe('A newer signal took its place.'),
})

export const hearingSchema = z.strictObject({
  accepted: z.boolean().describe('False where the run has said nothing yet, or made no such call.'),
  reason: z.string().optional(),
})
export const turnedSchema = z.strictObject({ ...ofLiveRun, ...answerSchema.shape, code: z.string().optional() })

export const pendingSchema = z.strictObject({
  runId: z.string(),
  pending: z.literal(true).describe('The signal is safe; what becomes of it stands in the events of the run.'),
})

const deadEntry = {
  at: z.string().describe('ISO 8601.'),
  error: z.strictObject({ code: z.string(), message: z.string() }),
  job: z.unknown().optional().describe('The data of a job that is no ticket.'),
}

export const deadListSchema = z.strictObject({
  dead: z.array(
    z.strictObject({ runId: z.string().optional().describe('Absent where a job named no run.'), ...deadEntry }),
  ),
})

export const deadRunSchema = z.strictObject({
  runId: z.string(),
  ...deadEntry,
  pipeline: z.string().optional().describe('Absent, as what follows, where the run itself is not kept any more.'),
  tenant: z.string().optional(),
  submittedAt: milliseconds.optional(),
  events: z.int().optional().describe('How many it had.'),
})

export const retriedSchema = z.strictObject({
  runId: z.string().describe('Of the new run.'),
  traceId: z.string(),
  insteadOf: z.string(),
})
export const droppedSchema = z.strictObject({ runId: z.string(), dropped: z.literal(true) })

export const nodeListSchema = z.strictObject({
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      worker: z.string(),
      pool: z.string(),
      backend: z.string(),
      address: z.string().optional(),
      slots: z.int(),
      busy: z.int(),
      models: z.array(z.string()).describe('That it takes calls for.'),
      anyModel: z.literal(true).optional().describe('It takes calls for any model: `models` is empty.'),
      version: z.string(),
      state: z.enum(['up', 'down', 'stopping']),
      reason: z.string().optional(),
      seen: milliseconds,
    }),
  ),
})

export const healthSchema = z.strictObject({ status: z.literal('ok'), version: z.string() })
export const readySchema = z.strictObject({ status: z.literal('ready') })
