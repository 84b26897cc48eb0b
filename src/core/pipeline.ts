import type { CallTimeouts, GenerationOptions } from './call.ts'
import type { LiveExperiment } from './live-experiment.ts'
import type { Policy } from './policy.ts'

/** What is tried again when a call fails. */
export interface Retry {
  /** Calls of one target, the first included; 1 without `retry`. */
  readonly attempts: number
  /** The longest pause before the second call, ms; the bound doubles with each further one. 200 by default. */
  readonly pauseMs: number
  /** Whether a fault after the first token is tried again too, its text withdrawn. `fail` by default. */
  readonly afterFirstToken: 'fail' | 'restart'
}

/** One stage of a checked pipeline: plain JSON, every default filled in. */
export interface Stage {
  readonly id: string
  /** An alias of the configuration, or a model's name as the server knows it. */
  readonly model: string
  /** Liquid templates. */
  readonly system?: string
  readonly prompt: string
  readonly options: GenerationOptions
  readonly timeouts: CallTimeouts
  readonly retry: Retry
  /** Models or names of nodes that are tried in this order when all attempts have failed. */
  readonly fallback: readonly string[]
  /** Of the boundary after this stage. */
  readonly policy: Policy
}

/** A pipeline that holds: made by `definePipeline` or from a file, never by hand. */
export interface Pipeline {
  readonly name: string
  readonly stages: readonly Stage[]
  /** The most interrupts that a run answers before it ends as failed; 16 by default. */
  readonly maxInterrupts: number
  /** On its traffic. Of a pipeline that is being run: the one that the run takes part in. */
  readonly experiment?: LiveExperiment
}
