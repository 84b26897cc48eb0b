import { z } from 'zod'
import { activities } from './activity.ts'
import { finishReasons } from './call.ts'
import { visitOrigins } from './visit.ts'

/** A length of time or an instant from the run's start, in ms with up to six decimals (whole nanoseconds). */
const ms = z.number()
const count = z.int().min(0)
const errorSummary = z.strictObject({
  code: z.string(),
  message: z.string(),
  /** What was received, such as a line that is no answer. Absent where text is not kept. */
  received: z.string().optional(),
})

/** A process of a fleet that had a part in the run. */
export const processSchema = z.strictObject({
  /** As its spans name it, such as `caesura-stages`. */
  service: z.string(),
  /** Tells the processes of one service apart. */
  instance: z.string(),
  /** How far its machine's wall clock was ahead of the fleet's, and how far off its instants in this record may be, ms. */
  clock: z.strictObject({ offsetMs: ms, errorMs: ms }).optional(),
})
export type ProcessRecord = z.infer<typeof processSchema>

const nameOfOne = z.string().min(1).max(200)

/** The arm of an experiment that the run was assigned to, and its place in the design. */
export const experimentSchema = z.strictObject({
  name: nameOfOne,
  arm: nameOfOne,
  /** The unit that was assigned: all its runs have the same arm. */
  session: nameOfOne.optional(),
  /** Of an experiment that was run by `ab`: which of its executions. Absent for one on live traffic. */
  execution: nameOfOne.optional(),
  /** The complete block of the design, from 0: it holds every arm once. */
  block: count.optional(),
  /** Its place in the order of the execution, from 0. */
  trial: count.optional(),
  /** Made before measuring began: in no figure but their number. */
  warmUp: z.literal(true).optional(),
  /** How much later it started than the design wanted, because the ones before took longer, ms. */
  lagMs: ms.min(0).optional(),
  /** When the first interrupt came that the arms answer differently, ms from the run's start. */
  exposedMs: ms.min(0).optional(),
  /** The version of what tokens and waste mean (`core/counting.ts`); absent: 1. */
  counting: z.int().min(1).optional(),
})
export type ExperimentArm = z.infer<typeof experimentSchema>

export const phaseNames = [
  'decide', // the engine's own time: interrupt → first commands, and old call settled → next call handed over
  'drain', // the old call runs on because the policy lets it
  'settle', // abort requested → the old call has settled
  'retry', // attempts of the next call that failed before their first token, and the pauses after them
  'slot', // the next call waits for a free slot on our side
  'queue', // … for a worker
  'connect',
  'send',
  'server-queue', // the server's own wait, where it must have been one
  'load',
  'prefill',
  'first-token', // end of prefill → the first piece (text or thinking) was sampled
  'transport',
  'thinking', // the first piece of thinking → the first text
  'tool', // a function that the next answer waited for
  'gate', // text was there, and its gate was shut
  'unattributed', // what no mark and no report explains; one phase, at the end
] as const
export type PhaseName = (typeof phaseNames)[number]

export const phaseSchema = z.strictObject({
  name: z.enum(phaseNames),
  ms,
  /** `observed`: a mark on both ends. `inferred`: from durations that the server reported. */
  source: z.enum(['observed', 'inferred']),
  /** Of `unattributed` only: the phases that it could be, which no observation tells apart. */
  candidates: z.array(z.enum(phaseNames)).optional(),
})
export type Phase = z.infer<typeof phaseSchema>

export const callRecordSchema = z.strictObject({
  /** The stage's id. */
  id: z.string(),
  callId: z.string(),
  /** Which visit of its stage it belongs to; 1 for the first. Absent in version 1. */
  visit: z.int().min(1).optional(),
  /** 1 unless a fault had the call repeated. In version 1 it counts the visits of the stage as well. */
  attempt: z.int().min(1),
  /** Absent when the call settled before it had a slot. */
  node: z.string().optional(),
  backend: z.string().optional(),
  /** Host and port of the model server, or a file. */
  address: z.string().optional(),
  /** `say`: a fixed text, without a model. Absent in version 1, where all are calls of models. */
  kind: z.string().optional(),
  /** Absent of a call that asks no model. */
  model: z.string().optional(),
  /** What steered sampling; absent where all of it was left to the server. */
  options: z
    .strictObject({
      temperature: z.number(),
      maxTokens: z.number(),
      seed: z.number(),
      topK: z.number(),
      topP: z.number(),
      contextTokens: z.number(),
    })
    .partial()
    .optional(),
  /** The policy of the boundary behind it: its preset, or trigger, response and carry. */
  policy: z.string().optional(),
  /** The call that failed and whose place it took. */
  retryOf: z.string().optional(),
  /** The stage worker that made it; absent where it was made in the run's own process. */
  process: processSchema.optional(),
  settlement: z.enum(['completed', 'drained', 'aborted', 'withdrawn', 'failed']),
  error: errorSummary.optional(),
  /** Why the model stopped, where the server said it. `content-filter`: its answer was cut by a filter. */
  finishReason: z.enum(finishReasons).optional(),
  /** The server's own word for the end, where it is none of those. */
  finishSaid: z.string().optional(),
  /**
   * The tools that the model asked for, in order. Absent where it asked for none. `arguments` is absent where text is not kept, and of a call
   * that was cut.
   */
  toolCalls: z
    .array(
      z.strictObject({
        id: z.string().optional(),
        name: z.string(),
        arguments: z.record(z.string(), z.unknown()).optional(),
      }),
    )
    .optional(),
  /** What was generated. Absent where text is not kept. */
  text: z.string().optional(),
  /** What the model thought. Absent where it did not think, and where text is not kept. */
  thinking: z.string().optional(),
  /** The document of a call with a `format` that was whole and held to it. Absent where text is not kept. */
  value: z.unknown().optional(),
  tokens: z.strictObject({
    /** Absent when the server did not report it. */
    prompt: count.optional(),
    /** The part of `prompt` that was in the server's prefix cache already. Absent where the server did not say. */
    cached: count.optional(),
    /** Text and thinking. `counted` says who counted. */
    generated: count,
    /** The part of `generated` that was thinking. Absent where the model did not think. */
    thinking: count.optional(),
    /** Handed to a reader of the run's events. */
    delivered: count,
    /** Acknowledged by the reader. Absent where no reader of the run acknowledged anything: then what was delivered counts as heard. */
    heard: count.optional(),
    /** Generated, but neither carried into the next stage nor part of an answer that stood. */
    wasted: count,
    /** `server`: the server reported its count of tokens. `pieces`: the pieces that came were counted here. Absent in older records. */
    counted: z.enum(['server', 'pieces']).optional(),
    /** With `counted: pieces`: `generated` is the pieces times this, which was learnt from answers that the same server counted. */
    perPiece: z.number().min(1).optional(),
  }),
  startMs: ms,
  /** The first piece of any kind, thinking too. */
  firstPieceMs: ms.optional(),
  /** The first piece of text. */
  firstTokenMs: ms.optional(),
  lastTokenMs: ms.optional(),
  settledMs: ms,
  /** All of its text was handed out and, where that is waited for, acknowledged; or it was stopped. Absent where text is handed out as it comes. */
  spokenMs: ms.optional(),
  /** Of its text, in UTF-16 units: what was generated, what a reader was handed of it, and what counts as heard of that. Absent in older records. */
  characters: z.strictObject({ generated: count, delivered: count, heard: count }).optional(),
  /** How long it held a slot. */
  slotMs: ms,
  /** The part of it after the last token that was used; all of it when none was. */
  wastedSlotMs: ms,
  /** What was done ahead for the next stage; absent when the policy's `warm` is `off`. */
  warmed: z
    .strictObject({
      model: z.string(),
      outcome: z.enum(['loaded', 'prefilled', 'skipped', 'failed']),
      /** Where; absent when no node was chosen. */
      node: z.string().optional(),
      reason: z.string().optional(),
    })
    .optional(),
  marks: z.array(z.strictObject({ name: z.string(), ms })),
  /** How long the messages were that it sent, in UTF-16 units. Absent of a call that asks no model, and in older records. */
  messageLengths: z.array(z.strictObject({ role: z.string(), characters: count })).optional(),
  /** The messages that it sent. Absent of a call that asks no model, where text is not kept, and in older records. */
  messages: z.array(z.strictObject({ role: z.string(), content: z.string() })).optional(),
  /** When its pieces of text came: of the first one, the last one, and up to 14 at even steps between. Absent where none came. */
  pieceTimes: z.array(ms).max(16).optional(),
  /** How busy the nodes of this process were that could take it, when it was handed to them. Absent on a fleet. */
  atStart: z.strictObject({ busySlots: count, slots: count, waiting: count }).optional(),
  /** What it was doing when it was told to stop. Absent where it was not. */
  abortedWhile: z.enum(activities).optional(),
  /** When the token came that showed a sentence to be over: of the first 32. Absent where none did. */
  sentenceEnds: z.array(ms).max(32).optional(),
  /**
   * `bunched`: the pieces came all at once though they were made one by one, or after a long wait. Something between here and the model
   * holds the stream back, such as a buffering proxy, and their instants say little of the model.
   */
  arrival: z.literal('bunched').optional(),
  /** The process that made the call was busy: it read a part of the answer up to so late, and instants may be late by that. */
  lateLoopMs: ms.optional(),
  /** The server's own durations, where it reported them. */
  server: z
    .strictObject({
      totalMs: ms.optional(),
      loadMs: ms.optional(),
      prefillMs: ms.optional(),
      decodeMs: ms.optional(),
      /** Why these durations are not used for phases: they contradict what was observed here, or nothing observed bears them out. */
      unused: z.string().optional(),
    })
    .optional(),
})
export type CallRecord = z.infer<typeof callRecordSchema>

export const interruptRecordSchema = z.strictObject({
  /** When the interrupt took effect: of a debounced signal, when its debounce was over. The phases begin here. */
  at: ms,
  /**
   * The first signal of the gesture, where that was before `at`: the user's wait begins here. Of a debounced signal the first of the
   * signals that followed each other; of one that confirmed a `hold`, or took another's place, the first that had no answer yet; on a
   * fleet the instant at which the signal was handed to the fleet.
   */
  firstSignalAt: ms.optional(),
  from: z.string(),
  fromCall: z.string(),
  /** Where the run went; absent when it ended, or when a newer signal took over. */
  to: z.string().optional(),
  toCall: z.string().optional(),
  trigger: z.string(),
  /** The new input. Absent where there was none, or where text is not kept. */
  input: z.string().optional(),
  response: z.string(),
  decision: z.string(),
  reason: z.string(),
  carry: z.string(),
  superseded: z.boolean(),
  /** Present where a filter of the policy refused the signal: nothing was interrupted. `reason` says why. */
  suppressed: z.literal(true).optional(),
  /** Interrupt → first token of the next stage. Absent when there was none. */
  toFirstTokenMs: ms.optional(),
  /** First signal of the gesture → first token of the next stage. Present where `firstSignalAt` is. */
  toFirstTokenFromSignalMs: ms.optional(),
  phases: z.array(phaseSchema),
  /**
   * First signal of the gesture → the last text of the interrupted stage that was handed to readers; 0 where none was after it. Absent where
   * the stage went on as if nothing had been, and in older records.
   */
  toSilenceMs: ms.optional(),
})
export type InterruptRecord = z.infer<typeof interruptRecordSchema>

export const recordSchema = z.strictObject({
  /** Version 1 tells of no visits. */
  schema: z.enum(['caesura.record/1', 'caesura.record/2']),
  runId: z.string(),
  pipeline: z.string(),
  /** 32 hex digits: the trace that the run's spans belong to. */
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  /** The span that asked for the run. */
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  traceState: z.string().optional(),
  /** Whether spans are sent of it; absent where nobody traced. */
  sampled: z.boolean().optional(),
  experiment: experimentSchema.optional(),
  /** Who talked: its runs share their turns, and an experiment's arm. Absent where nobody said it. */
  session: z.string().optional(),
  /** Whom it counts for. Absent where nobody said it. */
  tenant: z.string().optional(),
  /** What else its caller said of it. */
  tags: z.record(z.string(), z.string()).optional(),
  /** The name of the token that it was submitted with. Absent where there was none, or it has no name. */
  submittedBy: z.string().optional(),
  outcome: z.enum(['completed', 'cancelled', 'failed']),
  /** What it was asked. Absent where text is not kept, and in older records. */
  input: z.string().optional(),
  /** Why, with `failed` and `cancelled`. */
  error: errorSummary.optional(),
  cancelReason: z.string().optional(),
  /** The answer: the text of the last stage that stood. Absent where text is not kept. */
  output: z.string().optional(),
  startedAt: z.iso.datetime(),
  /** The same in ms since 1970, with fractions: the zero of all other times. */
  startedUnixMs: ms.optional(),
  durationMs: ms,
  /** One entry a call, in the order of their starts. */
  stages: z.array(callRecordSchema),
  /** The entries of stages, in order, each with its calls. Absent in version 1. */
  visits: z
    .array(
      z.strictObject({
        stage: z.string(),
        visit: z.int().min(1),
        from: z.enum(visitOrigins),
        calls: z.array(z.string()),
      }),
    )
    .optional(),
  interrupts: z.array(interruptRecordSchema),
  /** Signals that were planned and never came, because the run was over. `input` is absent where text is not kept. */
  unusedSignals: z
    .array(
      z.strictObject({
        stage: z.string().optional(),
        afterMs: ms.optional(),
        afterTokens: count.optional(),
        input: z.string().optional(),
      }),
    )
    .optional(),
  /** Who hosted the run, in order, and from when on. Absent where it was one process that did not trace. */
  owners: z.array(processSchema.extend({ fromMs: ms })).optional(),
  cost: z.strictObject({ generatedTokens: count, wastedTokens: count, slotMs: ms, wastedSlotMs: ms }),
})
export type RunRecord = z.infer<typeof recordSchema>
