import { z } from 'zod'
import { recordSchema } from './record.ts'

const head = { seq: z.int().min(1), runId: z.string(), ms: z.number() }
const experiment = z.strictObject({ name: z.string(), arm: z.string() })
const call = { stage: z.string(), callId: z.string() }

/** What a run tells while it goes: numbered from 1 without a gap, `ms` from the run's start. */
export const runEventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...head,
    type: z.literal('run-start'),
    pipeline: z.string(),
    traceId: z.string(),
    /** That it takes part in. */
    experiment: experiment.optional(),
  }),
  z.strictObject({
    ...head,
    type: z.literal('stage-start'),
    ...call,
    /** Which visit of the stage; 1 for the first. Absent in what older versions told. */
    visit: z.int().min(1).optional(),
    /** 1 unless a fault had the call repeated. */
    attempt: z.int(),
    /** Absent of a call that asks no model. */
    model: z.string().optional(),
  }),
  /**
   * Text of one piece: of at least one token. Well-formed: half of a character comes with the event of the piece that completes it, and
   * a piece that was such a half alone has no event of its own.
   */
  z.strictObject({ ...head, type: z.literal('token'), ...call, text: z.string() }),
  /** What the model thought in one piece, of at least one token. It is no text of the answer. Well-formed, as a `token` is. */
  z.strictObject({ ...head, type: z.literal('thinking'), ...call, text: z.string() }),
  /** The model has called a tool: one event a call, when the call is whole. */
  z.strictObject({
    ...head,
    type: z.literal('tool-call'),
    ...call,
    /** As the server named the call; absent where it did not. */
    id: z.string().optional(),
    name: z.string(),
    arguments: z.record(z.string(), z.unknown()),
  }),
  /** The document that a call with a `format` gave, whole and checked. */
  z.strictObject({ ...head, type: z.literal('value'), ...call, value: z.unknown() }),
  z.strictObject({
    ...head,
    type: z.literal('interrupt-signal'),
    ...call,
    interrupt: z.int().min(1),
    trigger: z.string(),
    input: z.string().optional(),
  }),
  z.strictObject({
    ...head,
    type: z.literal('interrupt-decide'),
    ...call,
    interrupt: z.int().min(1),
    response: z.string(),
    decision: z.string(),
    reason: z.string(),
  }),
  /**
   * The arms of the run's experiment may differ from here on: at this interrupt, or without one at the start of this call. At most once
   * a run.
   */
  z.strictObject({
    ...head,
    type: z.literal('experiment-exposure'),
    ...call,
    interrupt: z.int().min(1).optional(),
    experiment,
  }),
  z.strictObject({
    ...head,
    type: z.literal('stage-settle'),
    ...call,
    settlement: z.string(),
    error: z.strictObject({ code: z.string(), message: z.string(), received: z.string().optional() }).optional(),
  }),
  /** The first `characters` UTF-16 units of the call's text stand: they go on to the next stage, or are the answer. */
  z.strictObject({ ...head, type: z.literal('output-commit'), ...call, characters: z.int().min(0) }),
  /** Nothing of the call's text stands. */
  z.strictObject({ ...head, type: z.literal('output-withdraw'), ...call }),
  z.strictObject({
    ...head,
    type: z.literal('run-end'),
    outcome: recordSchema.shape.outcome,
    /** Why a run that a fleet put aside has failed: it has no record. */
    error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  }),
])
export type RunEvent = z.infer<typeof runEventSchema>
/** An event before the log has numbered it. */
export type RunEventBody = RunEvent extends infer E
  ? E extends RunEvent
    ? Omit<E, 'seq' | 'runId' | 'ms'>
    : never
  : never
