import { z } from 'zod'
import { durationSchema } from '../../core/duration.ts'
import { cancelCall, fireWhenSettled, type ResponseDefinition, setDeadline } from '../../core/policy.ts'

interface Boundary {
  /** The longest wait for the sentence's end, ms; 500 by default. */
  readonly cap: number
}

/** Lets the call finish its sentence, then cancels it. Between two sentences it is `abort`; it waits at most `cap` ms. */
export const boundary: ResponseDefinition<Boundary> = {
  name: 'boundary',
  summary: 'Lets the call finish its sentence, then cancels it.',
  parameter: z.strictObject({ cap: durationSchema.default(500) }).prefault({}),
  parameterHint: 'cap: the longest wait for the end of the sentence; 500ms',
  start: ({ call }, { cap }) => (call.inSentence ? [setDeadline(cap), fireWhenSettled] : [cancelCall, fireWhenSettled]),
  on: { sentenceEnd: () => [cancelCall], deadline: () => [cancelCall] },
}
