import type { CallTimeouts } from './call.ts'
import type { LiveExperiment } from './live-experiment.ts'
import type { Policy } from './policy.ts'
import { HEARD_WITHIN_MS, type Speaking } from './speaking.ts'
import type { ModelWish, Step } from './step.ts'
import type { HistoryWish } from './turn.ts'

/** What is tried again when a call fails. */
export interface Retry {
  /** Calls of one target, the first included; 1 without `retry`. */
  readonly attempts: number
  /** The longest pause before the second call, ms; the bound doubles with each further one. 200 by default. */
  readonly pauseMs: number
  /** Whether a fault after the first token is tried again too, its text withdrawn. `fail` by default. */
  readonly afterFirstToken: 'fail' | 'restart'
}

/** A stage of a checked pipeline: plain JSON, every default filled in. */
export interface Stage {
  readonly id: string
  /** What it does. */
  readonly step: Step
  /** What its step asks a model with; absent where it asks none. */
  readonly asks?: ModelWish
  readonly timeouts: CallTimeouts
  readonly retry: Retry
  /** Models or names of nodes that are tried in this order when all attempts have failed. */
  readonly fallback: readonly string[]
  /** Absent: its text is handed to readers as it comes, and the stage ends with its call. */
  readonly speaking?: Speaking
  /** `off`: nobody reads it, and what is delivered does not count it. */
  readonly deliver?: 'off'
  /** `off`: it is spoken, and no history has it. */
  readonly remember?: 'off'
  /** Of the boundary after this stage. */
  readonly policy: Policy
}

/**
 * What becomes of a new input of a session while a run of it is live. `interrupt`: a signal to that run. `queue`: the next run. `reject`: it is refused.
 */
export const busyChoices = ['interrupt', 'queue', 'reject'] as const
export type Busy = (typeof busyChoices)[number]

/** A pipeline that holds: made by `definePipeline` or from a file, never by hand. */
export interface Pipeline {
  readonly name: string
  readonly stages: readonly Stage[]
  /** The most interrupts that a run answers before it ends as failed; 16 by default. */
  readonly maxInterrupts: number
  /** The turns of the session that its prompts are shown. Absent: none; a signal's input is then no turn. */
  readonly history?: HistoryWish
  /** `interrupt` where it is absent. */
  readonly busy?: Busy
  /** On its traffic. Of a pipeline that is being run: the one that the run takes part in. */
  readonly experiment?: LiveExperiment
}

/**
 * The limits of a stage's calls as they are kept. Where a model may call tools, a silence may be a call that it writes, for servers tell of a
 * call when it is whole: `toolCallMs` is the longest silence then, before the first piece on top of the wait for that. Without it no silence
 * ends a call.
 */
export function silenceLimits({ timeouts, asks }: Pick<Stage, 'timeouts' | 'asks'>): CallTimeouts {
  if (asks?.tools === undefined) return timeouts
  const { firstTokenMs, toolCallMs, totalMs } = timeouts
  return {
    ...(totalMs !== undefined && { totalMs }),
    ...(toolCallMs !== undefined && { stallMs: toolCallMs }),
    ...(toolCallMs !== undefined && firstTokenMs !== undefined && { firstTokenMs: firstTokenMs + toolCallMs }),
  }
}

/** The models that a pipeline asks for: for each of its stages that asks one, the model and what it falls back to. */
export const modelsAsked = ({ stages }: Pipeline): string[][] =>
  stages.flatMap(({ asks, fallback }) => (asks === undefined ? [] : [[asks.model, ...fallback]]))

/** The pipeline with this pace in all of its stages, where one is given. */
export const withPace = (pipeline: Pipeline, pace?: number): Pipeline =>
  pace === undefined
    ? pipeline
    : {
        ...pipeline,
        stages: pipeline.stages.map((stage) => ({
          ...stage,
          speaking: { heardWithinMs: HEARD_WITHIN_MS, ...stage.speaking, pace },
        })),
      }
