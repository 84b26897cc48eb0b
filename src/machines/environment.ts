import type { Catalogue } from '../core/catalogue.ts'
import type { Clock } from '../core/clock.ts'
import type { PlannedSignal, SignalAnswer } from '../core/engine.ts'
import { CaesuraError, type CallCancelled } from '../core/errors.ts'
import type { Estimates } from '../core/estimates.ts'
import type { Journal } from '../core/journal.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { ResponseDefinition, TriggerDefinition } from '../core/policy.ts'
import { keptBy } from '../core/policy-calls.ts'
import type { Executor } from '../core/ports.ts'
import type { RunConversation } from '../core/session.ts'
import { heardOf } from '../core/speaking.ts'
import type { Transcript } from '../core/transcript.ts'
import type { Speech } from './speech.ts'

/**
 * What one run works with and what is no plain JSON, so that it can't be in a machine's context: the machines are the same
 * for all runs, and find their run's environment by their actor system (one root actor a run).
 */
export interface RunEnvironment {
  readonly journal: Journal
  readonly pipeline: Pipeline
  readonly catalogue: Catalogue
  readonly executor: Executor
  readonly clock: Clock
  readonly input: string
  readonly vars: Readonly<Record<string, string>>
  /** An alias to the name that the server knows. */
  readonly resolveModel: (model: string) => string
  /** Renders a prompt template. Throws a CaesuraError. */
  readonly render: (template: string, scope: Readonly<Record<string, unknown>>) => string
  /** The beginning of a rendered template: up to what depends on the output of the stage `unknown`, or on an interrupt. Throws likewise. */
  readonly renderKnownStart: (
    template: string,
    scope: Readonly<Record<string, unknown>>,
    unknown: string,
  ) => { readonly text: string; readonly isCut: boolean }
  /** The names of the nodes: a fallback may be one. */
  readonly nodes: ReadonlySet<string>
  /** From 0 to below 1, for pauses before a retry. */
  readonly random: () => number
  /** What this engine has learnt of its models and nodes. Shared by its runs. */
  readonly estimates: Estimates
  /** Signals that were planned and have not come yet. */
  readonly planned: Set<PlannedSignal>
  /** Who waits to hear what became of a signal, by the ticket that its event carries. */
  readonly tickets: Map<number, (answer: SignalAnswer) => void>
  /** What is being handed out to readers over time, by call. */
  readonly speeches: Map<string, Pick<Speech, 'goOn'>>
  /** The calls that have not settled, each with what ends it when the machine broke, whatever state it was in. */
  readonly inFlight: Map<Promise<unknown>, (reason: CallCancelled) => void>
  /** The conversation that the run is a part of; absent where nobody keeps one. */
  readonly conversation?: RunConversation
  /** Another owner goes on with the run: calls that are left here are not cancelled. */
  abandoned?: boolean
}

/** By actor system: only its identity counts. */
const environments = new WeakMap<object, RunEnvironment>()

/** Gives a run its environment, before its root actor starts. */
export function bindEnvironment(system: object, environment: RunEnvironment): void {
  environments.set(system, environment)
}

export function environmentOf(system: object): RunEnvironment {
  const environment = environments.get(system)
  if (environment === undefined) throw new Error('an actor was started outside of a run')
  return environment
}

/** The definition of that name. Throws `CAESURA_E_POLICY`. */
export const definitionOf = <D extends { readonly name: string }>(
  kind: string,
  definitions: readonly D[],
  name: string,
): D => {
  const definition = definitions.find((candidate) => candidate.name === name)
  if (definition === undefined)
    throw new CaesuraError(
      'CAESURA_E_POLICY',
      `no ${kind} is named ${name} in the catalogue of the process that hosts the run`,
      {
        received: name,
        hint: 'A worker takes what you add to the catalogue from `--catalogue FILE`.',
      },
    )
  return definition
}

export const triggerOf = ({ catalogue }: RunEnvironment, name: string): TriggerDefinition =>
  definitionOf('trigger', catalogue.triggers, name)

export const responseOf = ({ catalogue }: RunEnvironment, name: string): ResponseDefinition =>
  definitionOf('response', catalogue.responses, name)

/** What a carry keeps of a call's output as it is now. Throws `CAESURA_E_POLICY`. */
export function keptOf({ catalogue, journal }: RunEnvironment, call: Transcript, carry: string): string {
  const { callId, format } = call.request
  const isComplete = call.end?.end === 'completed'
  // A document that was cut is none, whatever the policy of an experiment's arm says.
  if (format !== undefined && !isComplete) return ''
  return keptBy(definitionOf('carry', catalogue.carries, carry), {
    text: call.text,
    // A carry that does not look at it does not pay for it.
    get delivered() {
      return journal.log.deliveredText(callId).text
    },
    get heard() {
      const { text } = journal.log.deliveredText(callId)
      return text.slice(0, heardOf(journal.calls, call, text.length))
    },
    complete: isComplete,
  })
}
