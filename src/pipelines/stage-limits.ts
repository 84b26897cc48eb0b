import { z } from 'zod'
import { durationSchema } from '../core/duration.ts'
import { textWithin, wholeWithin } from '../core/number-schema.ts'
import type { Retry, Stage } from '../core/pipeline.ts'
import { present } from '../core/present.ts'

/** A timeout of nothing would fail every call. */
const timeoutSchema = durationSchema.refine((ms) => ms > 0, {
  error: 'is zero',
  params: { expected: 'a duration above 0, such as 10s', hint: 'Leave it out for no limit.' },
})

const LONGEST_PAUSE_MS = 30_000
const FALLBACKS = 'a list of 1 to 8 models or nodes'

const retrySchema = z.strictObject({
  attempts: wholeWithin(1, 10).default(2).describe('Calls before the stage fails or falls back, the first included.'),
  pause: durationSchema
    .refine((ms) => ms <= LONGEST_PAUSE_MS, { error: 'is too long', params: { expected: 'a duration of 0 to 30 s' } })
    .default(200)
    .describe('The longest pause before the second call. The bound doubles with each further one, up to 30 s.'),
  afterFirstToken: z
    .enum(['fail', 'restart'], 'fail or restart')
    .default('fail')
    .describe('Whether a fault after the first token is tried again too. What had come is withdrawn then.'),
})

/** What a stage may have whose step takes time. */
export const limitsShape = {
  timeout: z
    .strictObject({
      firstToken: timeoutSchema.optional(),
      stall: timeoutSchema.optional(),
      toolCall: timeoutSchema.optional(),
      total: timeoutSchema.optional(),
    })
    .optional()
    .describe(
      'Limits of one call: from its start to the first token, between two tokens, to its end. Passing one is a failure. With tools a silence may be a call that the model writes: toolCall is the longest silence then.',
    ),
  retry: retrySchema.optional().describe('Without it a call is made once.'),
  fallback: z
    .array(textWithin(500), FALLBACKS)
    .min(1, FALLBACKS)
    .max(8, FALLBACKS)
    .optional()
    .describe('Models, or names of nodes for the same model, tried in this order when all attempts have failed.'),
}

/** The limits as they are parsed; a kind whose step takes no time has none. */
export type WrittenLimits = Partial<z.output<z.ZodObject<typeof limitsShape>>>

/** Without `retry` a call is made once; what it needs is still there for `fallback`. */
const ONCE: Retry = { attempts: 1, pauseMs: 200, afterFirstToken: 'fail' }

export function readLimits({
  timeout = {},
  retry,
  fallback = [],
}: WrittenLimits): Pick<Stage, 'timeouts' | 'retry' | 'fallback'> {
  const { firstToken: firstTokenMs, stall: stallMs, toolCall: toolCallMs, total: totalMs } = timeout
  return {
    timeouts: present({ firstTokenMs, stallMs, toolCallMs, totalMs }),
    retry:
      retry === undefined
        ? ONCE
        : { attempts: retry.attempts, pauseMs: retry.pause, afterFirstToken: retry.afterFirstToken },
    fallback,
  }
}
