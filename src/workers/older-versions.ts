import type { CallRequest } from '../core/call.ts'
import type { JournalState } from '../core/journal.ts'
import type { Stage } from '../core/pipeline.ts'
import { present } from '../core/present.ts'
import type { ModelWish, Step } from '../core/step.ts'
import { placesInRun, type Visit } from '../core/visit.ts'
import { machinesOfSnapshot } from '../machines/kept-machines.ts'

/** What version 2 kept of a run's journal: the calls of a stage are numbered, whether visits or attempts. */
type Journal2 = Pick<JournalState, 'calls' | 'interrupts'>

/** Brings what an older version of the fleet kept to the present one, version by version. What is of no known version stays as it is. */
export function fromOlder(value: unknown): unknown {
  const { version } = Object(value) as { readonly version?: unknown }
  // Version 4 knows sessions, which are all optional.
  if (version === 3) return { ...(value as object), version: 4 }
  if (version !== 2) return value
  const { journal, pipeline, machine, ...rest } = value as Readonly<Record<string, unknown>>
  const machines = machinesOfSnapshot(Object(machine).snapshot)
  return {
    ...rest,
    ...(isJournal2(journal) && { journal: journalOf(journal) }),
    ...(isPipeline2(pipeline) && { pipeline: { ...pipeline, stages: pipeline.stages.map(stageOf) } }),
    ...present({ machines }),
    version: 4,
  }
}

/** What version 2 kept of a stage: every stage asked a model, and had what it asked with beside the rest. */
interface Stage2 extends Omit<Stage, 'step' | 'asks'>, ModelWish {
  readonly system?: string
  readonly prompt: string
}

const isPipeline2 = (value: unknown): value is { readonly stages: readonly Stage2[] } => {
  const { stages } = Object(value) as { readonly stages?: unknown }
  return Array.isArray(stages) && stages.every((stage) => typeof Object(stage).prompt === 'string')
}

const stageOf = ({ model, options, system, prompt, ...rest }: Stage2): Stage => ({
  ...rest,
  step: { kind: 'model', ...present({ system }), prompt } as Step,
  asks: { model, options },
})

const isJournal2 = (value: unknown): value is Journal2 => {
  const { calls, interrupts } = Object(value) as Partial<Journal2>
  const isCall = (call: unknown) => typeof (call as { request?: CallRequest } | null)?.request?.stage === 'string'
  return Array.isArray(calls) && calls.every(isCall) && Array.isArray(interrupts)
}

/** Visits and attempts told apart: a call that took no other's place began a visit. */
function journalOf(journal: Journal2): Journal2 & { readonly visits: readonly Visit[] } {
  const places = placesInRun(
    journal.calls.map(({ request, retryOf }) => ({ stage: request.stage, callId: request.callId, retryOf })),
  )
  const calls = journal.calls.map((call) => ({
    ...call,
    request: { ...call.request, ...places.get(call.request.callId) },
  }))
  const firsts = calls.filter(({ request }) => request.attempt === 1)
  const visits = firsts.map(({ request: { stage, callId, visit = 1 } }): Visit => {
    const led = journal.interrupts.find(({ toCall }) => toCall === callId)
    const left = calls.find(({ request }) => request.callId === led?.fromCall)?.request.stage
    return { stage, visit, from: led === undefined ? 'order' : left === stage ? 'again' : 'then' }
  })
  return { ...journal, calls, visits }
}
