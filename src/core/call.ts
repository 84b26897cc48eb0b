import type { Clock, Nanoseconds } from './clock.ts'
import type { ErrorSummary } from './errors.ts'
import type { MarkName } from './ledger.ts'
import type { TraceHeaders } from './trace.ts'

export const chatRoles = ['system', 'user', 'assistant', 'tool'] as const

export interface ChatMessage {
  readonly role: (typeof chatRoles)[number]
  readonly content: string
  /** Pictures, each as a `data:` URL in base64. Of a user's message only. In a run's journal the list is empty: `machines/work.ts`. */
  readonly images?: readonly string[]
  /** The tools that the model called in this message. Of an assistant's message only. */
  readonly toolCalls?: readonly ToolCallSeen[]
  /** The call that this is the result of, and its tool. Of a tool's message only. */
  readonly toolCallId?: string
  readonly toolName?: string
}

/** What steers sampling. What is absent is left to the model server's default. */
export interface GenerationOptions {
  readonly temperature?: number
  /** The most tokens to generate. */
  readonly maxTokens?: number
  readonly seed?: number
  readonly topK?: number
  readonly topP?: number
  readonly stop?: readonly string[]
  /** The size of the context window in tokens. On Ollama a change reloads the model. */
  readonly contextTokens?: number
}

/** How hard a model is to think before it answers. `true`: as it does by itself. */
export const thinkLevels = ['low', 'medium', 'high', 'max'] as const
export type Think = boolean | (typeof thinkLevels)[number]

/** A JSON Schema. Plain JSON. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** Any JSON, or JSON that holds to a schema. */
export type DocumentFormat = 'json' | JsonSchema

/** A tool as a model is told of it. */
export interface ToolDescription {
  readonly name: string
  readonly description?: string
  readonly parameters: JsonSchema
}

/** How a model is asked, beside its messages and options. What is absent is left to the server. */
export interface Asking {
  readonly think?: Think
  /** How long the server keeps the model in memory after the call, ms; 0: not at all, -1: for ever. Told to Ollama only. */
  readonly keepAliveMs?: number
  /** What the answer has to be; absent: any text. */
  readonly format?: DocumentFormat
  /** What the model may call; absent: nothing. */
  readonly tools?: readonly ToolDescription[]
  /** Handed to the server as they are: to Ollama among its `options`, to an OpenAI-compatible server beside `messages`. Plain JSON. */
  readonly parameters?: Readonly<Record<string, unknown>>
}

/** Limits of one call in ms, counted from its start. Passing one is a failure with its own code, not an interrupt. */
export interface CallTimeouts {
  readonly firstTokenMs?: number
  /** The longest silence between two tokens. */
  readonly stallMs?: number
  /** The longest silence where the model may call tools; see `silenceLimits`. */
  readonly toolCallMs?: number
  readonly totalMs?: number
}

export type Placement = 'any' | 'same' | 'other'

/** One attempt of one stage, ready to send. Plain JSON: it may cross a process border. */
export interface CallRequest extends Asking {
  /** Unique in its run: the stage's id and the number of the call among all calls of the stage. */
  readonly callId: string
  readonly runId: string
  readonly stage: string
  /** Which visit of its stage it belongs to; 1 for the first. Absent in what older versions kept, and where there is no run. */
  readonly visit?: number
  /** 1 for the first of its visit; more after a fault only. */
  readonly attempt: number
  /** As the server knows it; empty where `work` is there. */
  readonly model: string
  readonly messages: readonly ChatMessage[]
  readonly options: GenerationOptions
  /** What the call does where it asks no model: the kind of its step does it, on no node. Plain JSON. */
  readonly work?: { readonly kind: string }
  readonly placement: Placement
  /** Any node will do when none satisfies `placement`. */
  readonly otherwise?: 'any'
  /** The node of the call before, for `placement`. */
  readonly previousNode?: string
  /** The one node that may take it, whatever `placement` says: a fallback that names a node. */
  readonly node?: string
  /** Where something was done ahead for it: chosen first among the nodes that have a slot free. */
  readonly warmNode?: string
  /** For servers that trace; absent where nobody does. */
  readonly trace?: TraceHeaders
}

/** What decides which nodes may take a call. */
export type NodeWish = Pick<CallRequest, 'model' | 'placement' | 'otherwise' | 'previousNode' | 'node'>

/** The beginning of a prompt that is known before the call is. */
export interface PrefillRequest extends Asking {
  /** As the server knows it. */
  readonly model: string
  /** The last one may be cut off: its text goes on in the call itself when `isCut`. */
  readonly messages: readonly ChatMessage[]
  readonly isCut: boolean
  /** Those of the call to come: other ones may make a server load its model anew. */
  readonly options: GenerationOptions
}

/** Durations that a server reported with its last line, in ns. What it did not report is absent. */
export interface ServerDurations {
  /** From the server's first sight of the request to its last line. */
  readonly totalNs?: Nanoseconds
  readonly loadNs?: Nanoseconds
  readonly prefillNs?: Nanoseconds
  readonly decodeNs?: Nanoseconds
}

/** Why a model stopped, as servers say it. */
export const finishReasons = ['stop', 'length', 'tool-calls', 'content-filter'] as const
export type FinishReason = (typeof finishReasons)[number]

/** A tool that the model asked for. */
export interface ToolCallSeen {
  /** As the server named the call; absent where it did not. */
  readonly id?: string
  readonly name: string
  /** What the tool is called with; absent where only the name is told. Plain JSON. */
  readonly arguments?: Readonly<Record<string, unknown>>
}

/** How a call ended, as the backend saw it. `cancelled` only after the signal given to it was aborted. */
export interface CallEnd {
  readonly end: 'completed' | 'cancelled' | 'failed'
  /** With `failed` only. */
  readonly error?: ErrorSummary
  /** Whether the same call may succeed if it is sent again (a refused connection, a busy server). With `failed` only. */
  readonly retryable?: boolean
  /** How long the server asked to wait before the next try, ms (`Retry-After`). With `retryable` only. */
  readonly retryAfterMs?: number
  /** Another node may take the call: this one has not got the model any more. With `failed` only. */
  readonly elsewhere?: true
  /** The fault is one of this answer, and says nothing of the server. With `failed` only. */
  readonly ofAnswer?: true
  readonly finishReason?: FinishReason
  /** The server's own word for the end, where it is none that is known. */
  readonly finishSaid?: string
  /** The names of the tools that the model asked for, in order, also of calls that were cut; absent where it asked for none. */
  readonly toolCalls?: readonly ToolCallSeen[]
  /** Counts the server reported; absent when it did not. */
  readonly promptTokens?: number
  /** The part of `promptTokens` that was in the server's prefix cache already; absent where it did not say. */
  readonly cachedTokens?: number
  /** Text and thinking together. */
  readonly generatedTokens?: number
  /** The part of `generatedTokens` that was thinking; absent where the server did not tell them apart. */
  readonly thinkingTokens?: number
  readonly server?: ServerDurations
}

/** What a backend tells while it works. All functions are called synchronously, at the moment itself. */
export interface CallObserver {
  mark(name: MarkName, at?: Nanoseconds): void
  /**
   * One piece of text as the server sent it: one token for most servers. Never empty. `at`: when it came, on the clock's scale,
   * where that was not now.
   */
  token(text: string, at?: Nanoseconds): void
  /** One piece of thinking: generated, and no text of the answer. Never empty. `at` as for `token`. */
  thinking(text: string, at?: Nanoseconds): void
  /** One tool call, whole: its arguments are there. `at` as for `token`. */
  toolCall?(call: ToolCallSeen, at?: Nanoseconds): void
  /** This process was busy: it read a part of the answer up to `ns` late. Told once, at the end, where that was so. */
  late?(ns: Nanoseconds): void
}

export interface GenerateContext extends CallObserver {
  readonly clock: Clock
  /** Aborted to cancel the call, with a `CallCancelled` as reason. */
  readonly signal: AbortSignal
}

/**
 * Settlements: `completed` ended by itself before any interrupt; `drained` ended by itself after one;
 * `aborted` was cancelled; `withdrawn` was cancelled because its answer was no longer wanted; `failed`.
 */
export type Settlement = 'completed' | 'drained' | 'aborted' | 'withdrawn' | 'failed'
