import type { CallTimeouts, GenerationOptions } from './call.ts'
import type { Policy } from './policy.ts'

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
  /** Attempts of one call, the first included; 1 by default. Only faults before the first token are tried again. */
  readonly attempts: number
  /** Of the boundary after this stage. */
  readonly policy: Policy
}

/** A pipeline that holds: made by `definePipeline` or from a file, never by hand. */
export interface Pipeline {
  readonly name: string
  readonly stages: readonly Stage[]
  /** The most interrupts that a run answers before it ends as failed; 16 by default. */
  readonly maxInterrupts: number
}
