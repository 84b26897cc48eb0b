import type { z } from 'zod'
import type { pipelineSchema } from '../pipelines/pipeline-schema.ts'
import type { speakingShape } from '../pipelines/speaking.ts'
import type { limitsShape } from '../pipelines/stage-limits.ts'
import type { modelShape } from '../steps/model.ts'
import type { sayShape } from '../steps/say.ts'

/** A number of ms, or a text such as `250ms`, `1.5s` or `2m`; at most 24 h. */
export type DurationInput = number | `${number}ms` | `${number}s` | `${number}m`

/** What stands behind the name of a trigger; of `any` it is a list. `null`: nothing, its name is enough. */
export interface TriggerParameters {
  readonly signal: null
  readonly after: DurationInput
  readonly tokens: number
  readonly 'first-token': null
  readonly sentence: number
  readonly stall: DurationInput
  readonly thinking: DurationInput
  readonly never: null
}

/** What stands behind the name of a response. `null` beside a value: its name is enough. */
export interface ResponseParameters {
  readonly drain: null
  readonly abort: null
  readonly overlap: null
  readonly race: { readonly until?: 'first-token' } | null
  readonly grace: DurationInput
  readonly boundary: { readonly cap?: DurationInput } | null
  readonly hold: { readonly confirm?: DurationInput; readonly otherwise?: 'resume' | 'abort' } | null
  readonly adaptive: { readonly slotPrice?: number } | null
}

export interface PlacementParameters {
  readonly any: null
  readonly same: { readonly otherwise?: 'any' } | null
  readonly other: { readonly otherwise?: 'any' } | null
}

export type CarryName = 'none' | 'all' | 'sentences' | 'delivered' | 'heard' | 'valid'
export type WarmName = 'off' | 'load' | 'prefix'
export type PresetName =
  | 'cut-in'
  | 'let-finish'
  | 'talk-over'
  | 'finish-sentence'
  | 'thrifty'
  | 'barge-in'
  | 'minimum-words'
  | 'preemptive'
  | 'enqueue'
  | 'reject'
  | 'interrupt'
  | 'rollback'

/** The names that are enough by themselves. */
type Alone<P> = { [N in keyof P]: null extends P[N] ? N : never }[keyof P]
/** One name with what stands behind it, and no other one. */
type Keyed<P> = {
  [N in keyof P]: { readonly [K in N]: P[N] } & { readonly [K in Exclude<keyof P, N>]?: never }
}[keyof P]

/** A trigger of the list of `any`: without filters, which stand beside the list. */
export type MemberInput = Alone<TriggerParameters> | (Keyed<TriggerParameters> & { readonly any?: never }) | ListInput

type ListInput = { readonly any: readonly MemberInput[] } & { readonly [N in keyof TriggerParameters]?: never }

/** What stands beside a trigger: which signals from outside count. */
export interface FilterInput {
  readonly signals?: 'heed' | 'ignore'
  readonly debounce?: DurationInput
  readonly cooldown?: DurationInput
  readonly minimum?: { readonly words?: number; readonly characters?: number }
}

/** A policy as a program writes it; `Id` is a stage of its pipeline. What is left out takes its default. */
export interface FactorsInput<Id extends string> {
  readonly preset?: PresetName
  readonly trigger?:
    | Alone<TriggerParameters>
    | (((Keyed<TriggerParameters> & { readonly any?: never }) | ListInput) & FilterInput)
  readonly response?: Alone<ResponseParameters> | Keyed<ResponseParameters>
  readonly carry?: CarryName
  readonly warm?: WarmName
  readonly placement?: Alone<PlacementParameters> | Keyed<PlacementParameters>
  readonly then?: 'next' | 'again' | 'start' | 'end' | Id
  readonly limit?: number
}

export type StagePolicyInput<Id extends string = string> = PresetName | FactorsInput<Id>

type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T
type WrittenBy<S extends z.ZodRawShape> = DeepReadonly<z.input<z.ZodObject<S>>>
type Written = DeepReadonly<z.input<ReturnType<typeof pipelineSchema>>>
type ModelInput = WrittenBy<typeof modelShape & typeof limitsShape>
type SayInput = WrittenBy<typeof sayShape>
/** What a model is shown: `system` and `prompt`, or `messages`. */
type PromptInput =
  | { readonly prompt: string; readonly messages?: never }
  | { readonly messages: NonNullable<ModelInput['messages']>; readonly prompt?: never; readonly system?: never }
/** What a stage does: it has the keys of one kind, and none of another's. */
type StepInput =
  | (ModelInput & PromptInput & { readonly [K in keyof SayInput]?: never })
  | (SayInput & { readonly [K in keyof ModelInput]?: never })
type WrittenExperiment = NonNullable<Written['experiment']>

/**
 * A pipeline as a program writes it, with policies that ship. `Id` is inferred from the stages, so that `then` and the arms of an experiment
 * name one of them.
 */
export interface PipelineInput<Id extends string = string> extends Omit<Written, 'stages' | 'experiment'> {
  readonly stages: readonly (StepInput &
    WrittenBy<typeof speakingShape> & {
      readonly id: Id
      readonly deliver?: 'off'
      readonly remember?: 'off'
      readonly policy?: StagePolicyInput<NoInfer<Id>>
    })[]
  readonly experiment?: Omit<WrittenExperiment, 'arms'> & {
    readonly arms: readonly (Omit<WrittenExperiment['arms'][number], 'stage' | 'policy'> & {
      readonly stage?: NoInfer<Id>
      readonly policy?: StagePolicyInput<NoInfer<Id>>
    })[]
  }
}

/** A pipeline that names policies, or kinds of steps, of a catalogue of one's own. */
export interface OwnPipelineInput extends Omit<Written, 'stages'> {
  readonly stages: readonly { readonly id: string; readonly policy?: unknown; readonly [key: string]: unknown }[]
}
