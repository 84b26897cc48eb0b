import { createActor } from 'xstate'
import { assembleRecord } from '../core/assemble.ts'
import type { RunHandle, SignalAnswer } from '../core/engine.ts'
import { CallCancelled, summarize } from '../core/errors.ts'
import type { RunRecord } from '../core/record.ts'
import { bindEnvironment, type RunEnvironment } from './environment.ts'
import { planRunSignals } from './planned-signals.ts'
import { runMachine } from './run.ts'

const refused: SignalAnswer = { accepted: false, code: 'CAESURA_E_RUN_ENDED', reason: 'the run has ended' }

/** Starts a run: one root actor. `cancelSignal` cancels it when aborted. */
export function startRun(environment: RunEnvironment, cancelSignal?: AbortSignal): RunHandle {
  const { journal } = environment
  const actor = createActor(runMachine)
  bindEnvironment(actor.system, environment)
  let tickets = 0
  let withdrawPlanned: () => void = () => undefined

  const result = new Promise<RunRecord>((resolve) => {
    const finish = () => {
      withdrawPlanned()
      cancelSignal?.removeEventListener('abort', cancelBySignal)
      // Who still waits to hear of a signal hears that the run ended before it was decided.
      for (const { answer } of journal.interrupts) answer?.(refused)
      for (const answer of environment.tickets.values()) answer(refused)
      environment.tickets.clear()
      resolve(assembleRecord(journal))
    }
    actor.subscribe({
      complete: finish,
      // XState stops a machine whose action threw, but not its children (xstate#5153): end every call, then the run.
      error: async (error) => {
        environment.emergency.abort(new CallCancelled('the run broke'))
        await Promise.allSettled(environment.inFlight)
        if (journal.end === undefined) journal.close({ outcome: 'failed', error: summarize(error) })
        finish()
      },
    })
  })
  const cancel = (reason = 'cancelled') => actor.send({ type: 'cancel', reason })
  const cancelBySignal = () =>
    cancel(String(cancelSignal?.reason instanceof Error ? cancelSignal.reason.message : cancelSignal?.reason))

  journal.tell({ type: 'run-start', pipeline: journal.pipeline, traceId: journal.traceId })
  actor.start()
  actor.send({ type: 'start' })
  withdrawPlanned = planRunSignals(environment, (input) => actor.send({ type: 'signal', ...input }))
  if (cancelSignal?.aborted) cancelBySignal()
  else cancelSignal?.addEventListener('abort', cancelBySignal, { once: true })

  return {
    runId: journal.runId,
    traceId: journal.traceId,
    events: { [Symbol.asyncIterator]: () => journal.log.after(0) },
    eventsAfter: (seq) => journal.log.after(seq),
    interrupt: (signal = {}) => {
      if (journal.end !== undefined) return Promise.resolve(refused)
      return new Promise((resolve) => {
        const ticket = ++tickets
        environment.tickets.set(ticket, resolve)
        actor.send({ type: 'signal', ticket, ...(signal.input !== undefined && { input: signal.input }) })
      })
    },
    cancel: (reason) => {
      if (journal.end === undefined) cancel(reason)
    },
    result,
  }
}
