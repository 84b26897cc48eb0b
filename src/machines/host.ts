import type { Catalogue } from '../core/catalogue.ts'
import type { Clock } from '../core/clock.ts'
import type { PlannedSignal, SignalAnswer } from '../core/engine.ts'
import type { Estimates } from '../core/estimates.ts'
import { Journal, type KeptJournal, type RunIdentity } from '../core/journal.ts'
import type { OutputLimits } from '../core/output-limit.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Executor } from '../core/ports.ts'
import { present } from '../core/present.ts'
import type { ProcessRecord } from '../core/record.ts'
import type { RunConversation } from '../core/session.ts'
import { wellFormed } from '../core/well-formed.ts'
import { renderKnownStart, renderTemplate } from '../pipelines/template.ts'
import type { KeptMachines } from './kept-machines.ts'
import { type HostedRun, startRun } from './start-run.ts'

/** What the runs of one process share, whoever makes their calls. */
export interface HostParts {
  readonly clock: Clock
  readonly catalogue: Catalogue
  /** What this process has learnt of its models and nodes. */
  readonly estimates: Estimates
  /** From 0 to below 1, for pauses before a retry. */
  readonly random: () => number
  /** How much one run may generate; absent: what an engine allows by default. */
  readonly outputLimits?: Partial<OutputLimits> | undefined
  /** The names of the nodes as they are now: a fallback may be one. */
  nodeNames(): ReadonlySet<string>
  /** This process, as the records of its runs name it; absent: they name none. */
  process?(): ProcessRecord
}

/** What is to be run. */
export interface RunOrder
  extends Pick<RunIdentity, 'runId' | 'trace' | 'experiment' | 'submittedBy' | 'session' | 'tenant' | 'tags'> {
  /** With the policies of its arm. */
  readonly pipeline: Pipeline
  readonly input: string
  readonly vars: Readonly<Record<string, string>>
  /** An alias to the name that the servers know (`aliasesOf`). */
  readonly resolveModel: (model: string) => string
  /** Signals that were planned and have not come yet. Those that come are taken out. */
  readonly planned: Set<PlannedSignal>
  /** The conversation that it is a part of; absent where nobody keeps its turns. */
  readonly conversation?: RunConversation
}

/** A run that was composed, and not started yet. */
export interface ComposedRun {
  readonly journal: Journal
  /** Who waits to hear what became of a signal, by its number. */
  readonly tickets: Map<number, (answer: SignalAnswer) => void>
  /** `cancelSignal` cancels the run when aborted; `kept`: the state of its machines, of a run that goes on here. */
  start(executor: Executor, cancelSignal?: AbortSignal, kept?: KeptMachines): HostedRun
}

/** Composes a run on a host: its journal, and what its machines work with. `kept`: the journal of a run that goes on here. */
export function composeRun(host: HostParts, order: RunOrder, kept?: KeptJournal): ComposedRun {
  const { clock, catalogue, estimates, random, outputLimits } = host
  const { pipeline, input, vars, resolveModel, planned, conversation } = order
  const journal = new Journal(identityOf(order), clock, outputLimits, kept)
  if (host.process !== undefined) journal.own(host.process())
  const tickets: ComposedRun['tickets'] = new Map()
  return {
    journal,
    tickets,
    start: (executor, cancelSignal, machines) =>
      startRun(
        {
          ...{ journal, pipeline, catalogue, executor, clock, input, vars, resolveModel, random, estimates },
          ...{ planned, tickets, render: renderTemplate, renderKnownStart },
          ...present({ conversation }),
          nodes: host.nodeNames(),
          inFlight: new Map(),
          speeches: new Map(),
        },
        cancelSignal,
        machines,
      ),
  }
}

/** Alias → the model's name as the servers know it. A name that is no alias is used as it is. */
export const aliasesOf =
  (models: Readonly<Record<string, string>>) =>
  (model: string): string =>
    models[model] ?? model

function identityOf({ runId, trace, pipeline, input, experiment, ...of }: RunOrder): RunIdentity {
  const { name, stages, experiment: onTraffic } = pipeline
  const { submittedBy, session, tenant, tags } = of
  return {
    ...{ runId, pipeline: name, stages, trace, input: wellFormed(input) },
    ...(experiment !== undefined && { experiment }),
    ...(submittedBy !== undefined && { submittedBy }),
    ...(session !== undefined && { session }),
    ...(tenant !== undefined && tenant !== '' && { tenant }),
    ...(tags !== undefined && { tags }),
    ...(onTraffic !== undefined && { exposing: onTraffic.boundaries }),
  }
}
