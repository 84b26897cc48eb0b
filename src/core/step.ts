import type { z } from 'zod'
import type { Asking, CallEnd, CallRequest, ChatMessage, GenerateContext, GenerationOptions } from './call.ts'
import type { ErrorCode } from './errors.ts'
import type { Policy } from './policy.ts'
import type { Path } from './problems.ts'

/** What a stage does, checked: its kind, and what that kind needs. Plain JSON, for it goes to whoever hosts the run. */
export interface Step {
  /** The name of a kind in the catalogue. */
  readonly kind: string
}

/** What a step asks a model with. */
export interface ModelWish extends Asking {
  /** An alias of the configuration, or a model's name as the server knows it. */
  readonly model: string
  readonly options: GenerationOptions
}

/** What a step sees when its stage is entered. */
export interface Opening {
  /** The stage's id. */
  readonly stage: string
  /** Fills a Liquid template in. Throws `CAESURA_E_TEMPLATE`. */
  render(template: string): string
  /** What was said before this turn, as messages; absent where the pipeline has no history. */
  readonly history?: readonly ChatMessage[]
  /** Tells for each stage whose output a template asks for, and whose output is empty, why it is. */
  emptyOutputs(template: string): readonly string[]
}

/** What is known of a template before a stage is entered: its beginning; `isCut` where it goes on. */
export interface KnownText {
  readonly text: string
  readonly isCut: boolean
}

/** Work that no node does: the name of the kind that performs it, and what that kind needs. Plain JSON. */
export type OwnWork = NonNullable<CallRequest['work']>

/** A template in a stage as it was written. Its value may have any type. */
export interface TemplatePlace {
  /** From the stage. */
  readonly path: Path
  readonly source: unknown
  /** What to write in place of an empty text; absent where it may be empty. */
  readonly emptyHint?: string
}

/** Something in a stage as it was written that its schema cannot tell. */
export interface StepProblem {
  /** From the stage. */
  readonly path: Path
  /** What is said of the value there, such as `is missing`. */
  readonly message: string
  readonly expected: string
  readonly received?: unknown
  /** What to do next, in one sentence. */
  readonly hint?: string
  /** Another code than `CAESURA_E_PIPELINE`. */
  readonly code?: ErrorCode
}

/** What of the pipeline around a stage was written. */
export interface WrittenAround {
  readonly hasHistory: boolean
}

/** Something in a step that is allowed but hardly meant. */
export interface StepWarning {
  /** The key of the stage that it is about. */
  readonly key: string
  /** What is said of the stage, such as `starts again, but …`. */
  readonly message: string
  readonly hint: string
}

/**
 * One kind of step: what can stand in a stage beside its id and its policy. A step is opened when its stage is entered: a step that asks a model
 * gives its messages, and a node does the call. Any other step gives work, and the kind performs it in the process that hosts the run.
 */
export interface StepKind<Parsed = unknown, S extends Step = Step, W extends OwnWork = OwnWork> {
  /** The key that tells the kind in a file; its value must be there. */
  readonly name: string
  /** One line: what it does, and what it costs. */
  readonly summary: string
  /** The keys of the kind in a file, with their schemas. */
  readonly shape: z.ZodRawShape
  /** More of the JSON Schema of such a stage, such as which keys exclude each other. */
  readonly jsonSchema?: Readonly<Record<string, unknown>>
  /** Whether its work takes time: then `timeout`, `retry` and `fallback` may stand beside its keys. */
  readonly takesTime: boolean
  /** What was parsed by `shape` as a step, and what it asks a model with, where it does. Written as a method: a kind has a type of its own. */
  read(parsed: Parsed): { readonly step: S; readonly asks?: ModelWish }
  /** The templates of a stage as it was written; its values may have any type. */
  templates(written: Readonly<Record<string, unknown>>): readonly TemplatePlace[]
  /** What the schema cannot tell of a stage as it was written; its values may have any type. */
  problems?(written: Readonly<Record<string, unknown>>, pipeline: WrittenAround): readonly StepProblem[]
  warnings?(step: S, policy: Policy): readonly StepWarning[]
  /** What the stage's call is made of. Throws `CAESURA_E_TEMPLATE`, `CAESURA_E_PROMPT_EMPTY`. */
  open(step: S, opening: Opening): { readonly messages: readonly ChatMessage[] } | { readonly work: W }
  /** The beginning of the messages to come, where a model is asked. */
  openAhead?(
    step: S,
    known: (template: string) => KnownText,
    history?: readonly ChatMessage[],
  ): { readonly messages: readonly ChatMessage[]; readonly isCut: boolean }
  /**
   * Does the work that `open` gave. Ends soon after the signal is aborted. Work that is under way when its host dies is done again by the next
   * host, and its readers are told of each piece once: the same work must give the same pieces.
   */
  perform?(work: W, context: GenerateContext): Promise<CallEnd>
}

/** A kind with types of its own, as a list of kinds takes it. */
export const stepKind = <Parsed, S extends Step, W extends OwnWork>(kind: StepKind<Parsed, S, W>): StepKind => kind
