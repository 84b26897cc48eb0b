import type { z } from 'zod'
import type { Placement } from './call.ts'
import type { Nanoseconds } from './clock.ts'
import type { Expectation } from './estimates.ts'

/** A factor with its parameter: what a file's `response: { grace: 300ms }` becomes. Plain JSON. */
export interface Factor {
  readonly name: string
  /** Absent for a factor without one. Durations are ms. */
  readonly parameter?: unknown
}

/** Guards against false interrupts. They filter signals from outside, not the trigger itself. */
export interface SignalFilter {
  /** Whether signals from outside interrupt as well; `heed` by default. */
  readonly signals: 'heed' | 'ignore'
  /** A signal counts when no newer one came for so long, ms; the newest stands for all. */
  readonly debounce?: number
  /** After a signal that interrupted, others are refused for so long, ms. */
  readonly cooldown?: number
  /** A signal's input must have so many words or characters. */
  readonly minimum?: { readonly words?: number; readonly characters?: number }
}

export interface TriggerFactor extends Factor, SignalFilter {}

/** What happens at one boundary. Six independent factors; a pure value. */
export interface Policy {
  /** The preset it came from. */
  readonly preset?: string
  readonly trigger: TriggerFactor
  readonly response: Factor
  /** The name of a carry. */
  readonly carry: string
  readonly warm: string
  readonly placement: Placement
  /** Where the next stage may go when no node satisfies `placement`; absent: nowhere, the call fails. */
  readonly placementOtherwise?: 'any'
  /**
   * `next`, `again`, `start`, `end` or a stage's id; absent: `next`, and on the last stage `again` when the signal brings input, else `end`. In a
   * pipeline with a history a signal has another default: `start` when it brings input, else `end`.
   */
  readonly then?: string
  /** How often an interrupt of this boundary may lead back (`again`, or to an earlier stage); then the run goes on to the next stage. */
  readonly limit?: number
}

/** A policy in few words, as spans, metrics and records name it: its preset, or trigger, response and carry. */
export const policyName = ({ preset, trigger, response, carry }: Policy): string =>
  preset ?? `${trigger.name} ${response.name} ${carry}`

interface Definition<P> {
  readonly name: string
  /** One line for `caesura policies`: what it does, and what it costs. */
  readonly summary: string
  /** Parses the parameter; absent for a factor that takes none. */
  readonly parameter?: z.ZodType<P>
  /** The parameter in words, such as `D, from the call's start`, for lists. */
  readonly parameterHint?: string
}

// ── Triggers ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a trigger sees of one call. `at` is ns from the run's start. */
export type CallEvent =
  | { readonly type: 'started'; readonly at: Nanoseconds }
  /** `count` is 1 for the first token. */
  | { readonly type: 'token'; readonly at: Nanoseconds; readonly count: number; readonly text: string }
  /** The model thinks: a piece came that is no text of the answer. */
  | { readonly type: 'thinking'; readonly at: Nanoseconds }
  /** The model has called a tool: told when the call is whole. */
  | { readonly type: 'tool-call'; readonly at: Nanoseconds }
  /** `count` sentences are over; told when the next one begins, so that `3.` in `3.50` is none. */
  | { readonly type: 'sentence-end'; readonly at: Nanoseconds; readonly count: number }
  /** The call has ended by itself, and its text is still being handed out: `pace`, `heard`. */
  | { readonly type: 'ended'; readonly at: Nanoseconds }
  /** The instant has come that the trigger asked to be woken at. */
  | { readonly type: 'wake'; readonly at: Nanoseconds }

/** What a trigger answers: interrupt now, or wake me at this instant (it replaces an earlier wish), or nothing. */
export interface TriggerStep<S> {
  readonly state: S
  /** The name of the trigger that fired. */
  readonly interrupt?: string
  readonly wakeAt?: Nanoseconds
}

/** Decides when a call is interrupted: a reducer over the events of one call. Pure; its state is plain JSON. */
export interface TriggerDefinition<P = unknown, S = unknown> extends Definition<P> {
  initial(parameter: P): S
  step(state: S, event: CallEvent, parameter: P): TriggerStep<S>
}

// ── Responses ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a response sees of the run: the policy and the two calls. Instants are ns from the run's start. */
export interface BoundaryView {
  readonly now: Nanoseconds
  readonly interruptedAt: Nanoseconds
  readonly carry: string
  readonly call: {
    readonly startedAt: Nanoseconds
    readonly firstTokenAt?: Nanoseconds
    /** Pieces received so far. */
    readonly tokens: number
    readonly settled: boolean
    /** It ended by itself: its answer is whole. */
    readonly complete: boolean
    /** The text so far stops in the middle of a sentence. False before the first token. */
    readonly inSentence: boolean
    /** Slot time so far that a cancel would throw away, by the policy's carry, ms. */
    readonly wastedMs: number
  }
  /** What is expected of the call, from what was observed of its model on its node. */
  readonly expected: Expectation
  readonly next: { readonly fired: boolean; readonly firstTokenAt?: Nanoseconds }
}

/** What may happen after the interrupt. A response listens to those it names in `on`. */
export type BoundaryEvent =
  | { readonly type: 'token'; readonly text: string }
  | { readonly type: 'sentenceEnd' }
  | { readonly type: 'deadline' }
  | { readonly type: 'callSettled' }
  | { readonly type: 'slotFree' }
  | { readonly type: 'nextFirstToken' }
  | { readonly type: 'nextSettled' }
  /** A newer signal took this one's place; its input is the one that counts now. */
  | { readonly type: 'superseded' }

/** What a response may order. The machines carry it out; an order that makes no sense any more is ignored. */
export type Command =
  | { readonly type: 'cancelCall' }
  | { readonly type: 'fireNext' }
  | { readonly type: 'fireWhenSettled' }
  | { readonly type: 'withdrawNext' }
  | { readonly type: 'pauseDelivery' }
  | { readonly type: 'releaseDelivery' }
  /** Replaces an earlier deadline. */
  | { readonly type: 'setDeadline'; readonly ms: number }
  /** Names what was decided and why, where the response's own name does not say it. */
  | { readonly type: 'decide'; readonly decision: string; readonly reason: string }

export const cancelCall: Command = { type: 'cancelCall' }
export const fireNext: Command = { type: 'fireNext' }
export const fireWhenSettled: Command = { type: 'fireWhenSettled' }
export const withdrawNext: Command = { type: 'withdrawNext' }
export const pauseDelivery: Command = { type: 'pauseDelivery' }
export const releaseDelivery: Command = { type: 'releaseDelivery' }
export const setDeadline = (ms: number): Command => ({ type: 'setDeadline', ms })
export const decide = (decision: string, reason: string): Command => ({ type: 'decide', decision, reason })

/** Written as a method's type, so that a definition with a parameter of its own fits into a list of definitions. */
type Reaction<P, E> = { react(view: BoundaryView, parameter: P, event: E): readonly Command[] }['react']

/** Decides what becomes of the call in flight: a reducer from boundary events to commands. Pure. */
export interface ResponseDefinition<P = unknown> extends Definition<P> {
  start(view: BoundaryView, parameter: P): readonly Command[]
  readonly on?: {
    readonly [E in BoundaryEvent as E['type']]?: Reaction<P, E>
  }
}

// ── Carry ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is there of an interrupted call's output. */
export interface PartialOutput {
  readonly text: string
  /** The part of `text` handed to a reader: always a prefix. */
  readonly delivered: string
  /** The part of `delivered` that its reader acknowledged, or all of it of a reader who never does. Always a prefix. */
  readonly heard: string
  /** Whether the call ended by itself. */
  readonly complete: boolean
}

/** Decides what of the partial output the next stage sees: a prefix of its text. */
export interface CarryDefinition extends Definition<unknown> {
  keep(output: PartialOutput): string
}

/** A choice that needs no code of its own here: `warm`, `placement`, `then`. */
export type ChoiceDefinition = Definition<unknown>

/** A policy with a name, for `policy: NAME`. */
export interface Preset {
  readonly name: string
  readonly summary: string
  /** As a pipeline file would write it. */
  readonly policy: PolicyInput
}

/** A policy as a file or a caller writes it; what is left out takes its default. */
export interface PolicyInput {
  readonly trigger?: unknown
  readonly response?: unknown
  readonly carry?: string
  readonly warm?: string
  readonly placement?: unknown
  readonly then?: string
  readonly limit?: number
}
