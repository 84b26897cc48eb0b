import type { Nanoseconds } from './clock.ts'
import type { Journal } from './journal.ts'

/** The first moment of a run at which the arms of its experiment could have done different things. */
export interface Exposure {
  readonly at: Nanoseconds
  readonly callId: string
  /** The interrupt that brought it; absent where the arms differ from the start of a stage on. */
  readonly interrupt?: number
}

/**
 * When a run was exposed, derived from its journal alone, so that whoever goes on with a run finds the same. Until then all arms have
 * done the same: whether a run was exposed depends on no arm. A signal that a filter refused interrupts in no arm.
 */
export function exposureOf({ run: { exposing = [] }, calls, interrupts, end }: Journal): Exposure | undefined {
  const from = (callId: string) => {
    const stage = calls.get(callId)?.request.stage
    return exposing.find((boundary) => boundary.stage === stage)?.from
  }
  if (exposing.length === 0) return undefined
  const interrupt = interrupts.find(({ suppressed, fromCall }) => !suppressed && from(fromCall) === 'interrupt')
  const call = exposing.some((boundary) => boundary.from === 'start')
    ? [...calls.values()].find(({ request }) => from(request.callId) === 'start')
    : undefined
  if (call !== undefined) {
    // It has no mark in the step that opens it: what has come by then was before.
    const startedAt = call.ledger.at('call-start') ?? end?.at ?? Number.POSITIVE_INFINITY
    if (interrupt === undefined || startedAt <= interrupt.at) return { at: startedAt, callId: call.request.callId }
  }
  return interrupt && { at: interrupt.at, callId: interrupt.fromCall, interrupt: interrupt.id }
}

/** Tells of a run's exposure: called when a call was opened or an interrupt came, so that it is told in the same step, once. */
export function tellExposure(journal: Journal, cause: { readonly callId: string; readonly interrupt?: number }): void {
  const { experiment, exposing } = journal.run
  if (experiment === undefined || exposing === undefined) return
  const exposure = exposureOf(journal)
  if (exposure === undefined || exposure.callId !== cause.callId || exposure.interrupt !== cause.interrupt) return
  const { stage } = journal.call(exposure.callId).request
  const { name, arm } = experiment
  journal.tell({ type: 'experiment-exposure', stage, ...cause, experiment: { name, arm } })
}
