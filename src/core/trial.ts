import { z } from 'zod'
import { type CallRecord, type InterruptRecord, type Phase, phaseNames, type RunRecord } from './record.ts'

const ms = z.number()
const count = z.int().min(0)

/** One interrupt of a trial. Those that a filter refused are none. */
export const trialInterruptSchema = z.strictObject({
  /** From the run's start, ms. */
  atMs: ms,
  /** From the start of the call that it interrupted, ms. */
  sinceCallMs: ms,
  decision: z.string(),
  /** What became of the interrupted call. */
  settlement: z.enum(['completed', 'drained', 'aborted', 'withdrawn', 'failed']),
  /**
   * `reached`: a first token came. `lost`: the run ended without one, so it took longer than `lostAfterMs` (right-censored).
   * `superseded`: a newer interrupt took over. `nowhere`: its policy ends the run, so there was nothing to reach.
   */
  end: z.enum(['reached', 'lost', 'superseded', 'nowhere']),
  /** Interrupt → first token of the next stage; with `reached`. */
  toFirstTokenMs: ms.optional(),
  /** First signal of the gesture → the same; where that signal came before the interrupt. */
  toFirstTokenFromSignalMs: ms.optional(),
  /** First signal of the gesture → the last text of the interrupted stage that was handed to readers. Absent where the record has none. */
  toSilenceMs: ms.optional(),
  /** Interrupt → the run's end; with `lost`. */
  lostAfterMs: ms.optional(),
  /** Tokens of the interrupted call that stood: were carried on, or are part of the answer. */
  keptTokens: count,
  /** Its phases that took time, ms. */
  phases: z.partialRecord(z.enum(phaseNames), ms),
})
export type TrialInterrupt = z.infer<typeof trialInterruptSchema>

/** What analysis needs of a run of an experiment: a digest of its record, derived by `trialOf` alone. */
export const trialSchema = z.strictObject({
  runId: z.string(),
  arm: z.string(),
  /** The run's own id where it named none: each run is then a session. */
  session: z.string(),
  block: count.optional(),
  trial: count.optional(),
  warmUp: z.literal(true).optional(),
  startedUnixMs: ms,
  outcome: z.enum(['completed', 'cancelled', 'failed']),
  errorCode: z.string().optional(),
  lagMs: ms.optional(),
  exposedMs: ms.optional(),
  /** The version of what its tokens and waste mean (`core/counting.ts`); absent: 1. */
  counting: z.int().min(1).optional(),
  /** Who counted its tokens: the server in all calls, pieces of text in all, or `both`. Absent where no call says so. */
  counted: z.enum(['server', 'pieces', 'both']).optional(),
  /** The nodes that it ran on, each once, in the order of their first calls. Absent where none is known. */
  nodes: z.array(z.string()).min(1).optional(),
  runMs: ms,
  /** Run's start → first token of its first answer. */
  firstTokenMs: ms.optional(),
  /** Run's start → first token of the call whose answer stood. Absent where none did. */
  answerMs: ms.optional(),
  generatedTokens: count,
  wastedTokens: count,
  slotMs: ms,
  wastedSlotMs: ms,
  interrupts: z.array(trialInterruptSchema),
})
export type Trial = z.infer<typeof trialSchema>

/** The digest of a record for analysis; undefined for a run of no experiment. Pure: the same record gives the same trial. */
export function trialOf(record: RunRecord): Trial | undefined {
  const { experiment, runId, stages, cost } = record
  if (experiment === undefined) return undefined
  const { arm, session = runId, block, trial, warmUp, lagMs, exposedMs, counting } = experiment
  const [counted, nodes] = [countedIn(stages), nodesOf(stages)]
  const firstTokenMs = stages.find((stage) => stage.firstTokenMs !== undefined)?.firstTokenMs
  const answer = record.outcome === 'completed' ? stages.findLast(stood) : undefined
  return {
    runId,
    arm,
    session,
    ...(block !== undefined && { block }),
    ...(trial !== undefined && { trial }),
    ...(warmUp && { warmUp }),
    startedUnixMs: record.startedUnixMs ?? Date.parse(record.startedAt),
    outcome: record.outcome,
    ...(record.error !== undefined && { errorCode: record.error.code }),
    ...(lagMs !== undefined && { lagMs }),
    ...(exposedMs !== undefined && { exposedMs }),
    ...(counting !== undefined && { counting }),
    ...(counted !== undefined && { counted }),
    ...(nodes.length > 0 && { nodes }),
    runMs: record.durationMs,
    ...(firstTokenMs !== undefined && { firstTokenMs }),
    ...(answer?.firstTokenMs !== undefined && { answerMs: answer.firstTokenMs }),
    generatedTokens: cost.generatedTokens,
    wastedTokens: cost.wastedTokens,
    slotMs: cost.slotMs,
    wastedSlotMs: cost.wastedSlotMs,
    interrupts: record.interrupts.filter(({ suppressed }) => !suppressed).map((each) => interruptOf(each, record)),
  }
}

function countedIn(stages: readonly CallRecord[]): Trial['counted'] {
  const who = new Set(stages.flatMap(({ tokens }) => tokens.counted ?? []))
  return who.size > 1 ? 'both' : [...who][0]
}

const nodesOf = (stages: readonly CallRecord[]) => [...new Set(stages.flatMap(({ node }) => node ?? []))]

const stood = ({ settlement, tokens }: CallRecord) =>
  (settlement === 'completed' || settlement === 'drained') && tokens.wasted === 0

function interruptOf(interrupt: InterruptRecord, { stages, durationMs, outcome }: RunRecord): TrialInterrupt {
  const { at, toFirstTokenMs, toFirstTokenFromSignalMs, toSilenceMs, superseded, to } = interrupt
  const from = stages.find(({ callId }) => callId === interrupt.fromCall)
  const end =
    toFirstTokenMs !== undefined
      ? 'reached'
      : superseded
        ? 'superseded'
        : outcome === 'completed' && to === undefined
          ? 'nowhere'
          : 'lost'
  return {
    atMs: at,
    sinceCallMs: at - (from?.startMs ?? 0),
    decision: interrupt.decision,
    settlement: from?.settlement ?? 'failed',
    end,
    ...(toFirstTokenMs !== undefined && { toFirstTokenMs }),
    ...(toFirstTokenFromSignalMs !== undefined && { toFirstTokenFromSignalMs }),
    ...(toSilenceMs !== undefined && { toSilenceMs }),
    ...(end === 'lost' && { lostAfterMs: Math.max(0, durationMs - at) }),
    keptTokens: from === undefined ? 0 : from.tokens.generated - from.tokens.wasted,
    phases: sumByName(interrupt.phases),
  }
}

/** The engine decides twice: before the old call and after it. */
function sumByName(phases: readonly Phase[]): TrialInterrupt['phases'] {
  const sums: TrialInterrupt['phases'] = {}
  for (const { name, ms } of phases) sums[name] = (sums[name] ?? 0) + ms
  return sums
}

/** One execution of an experiment, as it is kept: what was to be done, and how far it came. */
export const executionSchema = z.strictObject({
  experiment: z.string(),
  /** Tells executions of one experiment apart. */
  execution: z.string(),
  /** Of the design: a resumed execution must have the same. */
  digest: z.string(),
  /** The checked experiment, as `lab/design/experiment-schema.ts` has it. */
  design: z.unknown(),
  /** The version of what its trials count (`core/counting.ts`); absent: 1. */
  counting: z.int().min(1).optional(),
  startedAt: z.iso.datetime(),
  /** Absent while it goes on, or when its process was killed. */
  ended: z
    .strictObject({
      at: z.iso.datetime(),
      /** `complete`: every trial of the design was made. */
      how: z.enum(['complete', 'stopped', 'time', 'tokens', 'failed']),
    })
    .optional(),
})
export type Execution = z.infer<typeof executionSchema>
